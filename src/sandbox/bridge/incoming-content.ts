/** Incoming: what an accepted event is on the network, or why it can't be that. */
import type { Chat, Content, Login, Media, Message } from '../network/types.ts'
import { type BridgeContext, phoneOfGhost } from './context.ts'
import { objectionTo, unsupportedByBridge } from './feature-checks.ts'
import { textOfHtml, usersIn } from './formatted-text.ts'
import type { Incoming } from './from-matrix.ts'
import { optionIds } from './polls-and-calls.ts'
import { failedOnNetwork, permanent, type Refusal } from './refusals.ts'
import { roomFeatures } from './room-features.ts'

export function createIncomingContent(context: BridgeContext) {
  const { clock, facts, network } = context
  const { store } = network

  function relatedContent(
    incoming: Incoming,
    targetEvent: string,
    login: Login,
    chat: Chat,
  ): Content | Refusal {
    const { type, emoji, answers } = incoming
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
        ...textOf(incoming, login),
        emoji,
        target,
      }
    )
  }

  /** The text as the network has it. */
  function textOf(
    { text, html, mentionable }: Incoming,
    login: Login,
  ): Pick<Content, 'text' | 'html' | 'mentions'> {
    if (html === undefined) return { text }
    const phoneOf = (userId: string) => {
      if (mentionable && !mentionable.includes(userId)) return null
      return userId === login.userId ? login.phone : phoneOfGhost(context, userId)
    }
    const nameOf = (userId: string) => {
      const phone = phoneOf(userId)
      return phone === null ? null : `@${phone}`
    }
    const phones = usersIn(html).flatMap(userId => phoneOf(userId) ?? [])
    return {
      text: textOfHtml(html, facts.platform, nameOf),
      ...(facts.platform === 'wa' ? {} : { html }),
      ...(phones.length === 0 ? {} : { mentions: [...new Set(phones)] }),
    }
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
    const { targetEvent, replyToEvent, media: file, type, emoji, latitude, longitude, poll } = incoming
    if (targetEvent !== undefined) return relatedContent(incoming, targetEvent, login, chat)
    const replyTo = replyToEvent === undefined ? undefined : store.messageOfEvent(replyToEvent)
    const { isWithoutPreview } = incoming
    const said = { ...textOf(incoming, login), isWithoutPreview }
    return { type, ...said, emoji, latitude, longitude, poll, media, fileName: file?.name, replyTo }
  }
}
