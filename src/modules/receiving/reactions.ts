/**
 * Tells a removed reaction from a deleted message. Both are redactions in Matrix, which name the
 * event that they take back, but not its type.
 */
import type { Fact, MessageContent, MessageFact, ReactionFact } from '../../domain/facts.ts'

/** A reaction that clients know of. */
export interface Reaction {
  emoji: string
  /** The event that it was on. */
  relatesTo: string | null
}

export class Reactions {
  /** By their events; null: seen, but with nothing left to tell. */
  private readonly seen: Map<string, Reaction | null>

  /** @param known those of earlier batches that are taken back in this one */
  constructor(known: ReadonlyMap<string, Reaction> = new Map()) {
    this.seen = new Map(known)
  }

  /** @param said those of a batch, in their order. @returns null when there is nothing to tell */
  contentOf({ fact, eventId, content: message }: MessageFact | ReactionFact): MessageContent | null {
    if (fact === 'reaction') this.note(eventId, message)
    if (message?.event !== 'message.deleted' || message.relatesTo === null) return message
    const reaction = this.seen.get(message.relatesTo)
    if (reaction === undefined) return message
    const { emoji, relatesTo } = reaction ?? {}
    if (emoji === undefined || relatesTo === undefined) return null
    return {
      ...message,
      event: 'message.reaction',
      kind: 'reaction',
      type: 'm.reaction',
      message: emoji,
      relatesTo,
      removed: true,
    }
  }

  private note(eventId: string, message: MessageContent | null): void {
    if (message) this.seen.set(eventId, { emoji: message.message, relatesTo: message.relatesTo })
    else if (!this.seen.has(eventId)) this.seen.set(eventId, null)
  }
}

/** Events that a batch takes back. */
export function takenBack(facts: readonly Fact[]): string[] {
  return facts.flatMap(fact =>
    fact.fact === 'message' && fact.content.event === 'message.deleted' ? (fact.content.relatesTo ?? []) : [],
  )
}
