/**
 * Completes facts by what was said before: Matrix names only the event that a redaction takes back
 * and the poll that a vote is on. So removed reactions and votes are told from deleted messages,
 * and a vote has the texts of its options.
 */
import type { Fact, MessageContent, MessageFact, ReactionFact } from '../../domain/facts.ts'

/** Something said, as far as later events refer to it. */
export type Earlier = Pick<MessageContent, 'event' | 'message' | 'relatesTo' | 'poll'>

export class EarlierSaid {
  /** By their events; null: seen, but with nothing left to tell. */
  private readonly seen: Map<string, Earlier | null>

  /** @param known what was stored of the events that this batch refers to */
  constructor(known: ReadonlyMap<string, Earlier | null> = new Map()) {
    this.seen = new Map(known)
  }

  /** @param said those of a batch, in their order. @returns null when it makes no event */
  contentOf({ fact, eventId, content }: MessageFact | ReactionFact): MessageContent | null {
    if (fact === 'reaction' || content.poll || content.vote || content.call) this.note(eventId, content)
    if (content?.event === 'message.deleted') return this.removalOf(content)
    return content?.vote ? this.withTexts(content) : content
  }

  private note(eventId: string, content: MessageContent | null): void {
    if (content || !this.seen.has(eventId)) this.seen.set(eventId, content)
  }

  private removalOf(content: MessageContent): MessageContent | null {
    const removed = content.relatesTo === null ? undefined : this.seen.get(content.relatesTo)
    if (removed === null) return null
    const { relatesTo = null, message = '' } = removed ?? {}
    switch (removed?.event) {
      case 'message.reaction': {
        const reaction = { event: 'message.reaction', kind: 'reaction', type: 'm.reaction' } as const
        return { ...content, ...reaction, message, relatesTo, removed: true }
      }
      case 'poll.vote': {
        const vote = { event: 'poll.vote', kind: 'vote', type: 'm.poll.response' } as const
        return { ...content, ...vote, relatesTo, vote: { options: [] } }
      }
      // It was no message, and has happened all the same.
      case 'call.received':
      case 'poll.ended':
        return null
      default:
        return content
    }
  }

  private withTexts(content: MessageContent): MessageContent {
    const poll = content.relatesTo === null ? null : this.seen.get(content.relatesTo)?.poll
    if (!poll || !content.vote) return content
    const texts = new Map(poll.options.map(({ id, text }) => [id, text]))
    const options = content.vote.options.map(({ id }) => ({ id, text: texts.get(id) ?? null }))
    return { ...content, vote: { options } }
  }
}

/** Events that a batch takes back or votes on. */
export function referredTo(facts: readonly Fact[]): { roomId: string; eventId: string }[] {
  return facts.flatMap(fact => {
    if (fact.fact !== 'message' || (fact.content.event !== 'message.deleted' && !fact.content.vote)) return []
    const { roomId, content } = fact
    return content.relatesTo === null ? [] : [{ roomId, eventId: content.relatesTo }]
  })
}
