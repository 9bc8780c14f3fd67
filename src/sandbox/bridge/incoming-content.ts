/** Incoming: what an accepted event is on the network, or why it can't be that. */
import type { Chat, Content, Login, Media, Message } from '../network/types.ts'
import type { BridgeContext } from './context.ts'
import { objectionTo, unsupportedByBridge } from './feature-checks.ts'
import type { Incoming } from './from-matrix.ts'
import { optionIds } from './polls-and-calls.ts'
import { failedOnNetwork, permanent, type Refusal } from './refusals.ts'
import { roomFeatures } from './room-features.ts'

export function createIncomingContent({ clock, facts, network }: BridgeContext) {
  const { store } = network

  function relatedContent(
    incoming: Incoming,
    targetEvent: string,
    login: Login,
    chat: Chat,
  ): Content | Refusal {
    const { type, text, html, mentions, emoji, answers } = incoming
    const original = store.message(store.messageOfEvent(targetEvent) ?? '')
    if (answers) return voteOn(original, answers)
    if (!original) return permanent('m.event_not_handled', 'The message that this is about is not known')
    // Redacting a reaction retracts it; redacting an edit or a message deletes the message.
    const isRetraction = type === 'delete' && original.type === 'reaction'
    if (type !== 'reaction' && !mayChange(original, login, chat, type === 'delete' && !isRetraction))
      return failedOnNetwork('the message is somebody else’s')
    if (isRetraction) return { type: 'reaction', text: '', target: original.target, emoji: '' }
    const target = (type === 'delete' && original.type === 'edit' && original.target) || original.id
    const edits = store.editsOf(target) ?? 0
    const features = roomFeatures(facts.platform, chat)
    return (
      objectionTo(incoming, original, edits, features, clock.now()) ?? {
        type,
        text,
        html,
        mentions,
        emoji,
        target,
      }
    )
  }

  /** Everybody changes their own messages; a group's admins delete those of others, too. */
  function mayChange({ sender }: Message, { phone }: Login, { group }: Chat, isDeletion: boolean): boolean {
    return sender === phone || (isDeletion && (group?.admins.includes(phone) ?? false))
  }

  function voteOn(target: Message | undefined, answers: readonly string[]): Content | Refusal {
    const { poll } = target ?? {}
    const ids = poll && optionIds(facts.platform, poll)
    if (!target || !poll || !ids) return unsupportedByBridge('vote target poll not found')
    const options = poll.options.filter((_, index) => answers.includes(ids[index] ?? ''))
    return { type: 'vote', text: '', target: target.id, options }
  }

  return (incoming: Incoming, media: Media | undefined, login: Login, chat: Chat): Content | Refusal => {
    const { targetEvent, replyToEvent, media: file, answers: _answers, ...content } = incoming
    if (targetEvent !== undefined) return relatedContent(incoming, targetEvent, login, chat)
    const replyTo = replyToEvent === undefined ? undefined : store.messageOfEvent(replyToEvent)
    return { ...content, media, fileName: file?.name, replyTo }
  }
}
