/**
 * Actions: what is done to messages and chats that are there. Each is a row of the outbox (an act),
 * which waits in the lane of its chat: behind the message that it is for, and before what is
 * accepted later. `handlers.ts` does them when their turn has come.
 */
import type { Chat, Device } from '../../db/schema/index.ts'
import type { Tx } from '../../db/transaction.ts'
import type { ActArguments } from '../../domain/act-arguments.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { RoomFeatures } from '../../domain/room-features.ts'
import type { ActType, RecipientKind } from '../../domain/states.ts'
import type { ActionView } from '../../domain/views/action.ts'
import type { SendContent } from '../../domain/views/message-content.ts'
import { isBlank } from '../../lib/blank-text.ts'
import type { Clock } from '../../lib/clock.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import {
  planEdit,
  unsupportedEdit,
  unsupportedReaction,
  unsupportedUnsend,
  unsupportedVote,
} from '../chats/act-capabilities.ts'
import { planMessage, type Unsupported, unsupportedByChat } from '../chats/capabilities.ts'
import { type ChatRepository, isChatOf } from '../chats/chat-repository.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import { loggedOut } from '../devices/refusals.ts'
import { markRead } from '../history/activity-repository.ts'
import type { Recorder } from '../idempotency/types.ts'
import type { MediaFiles } from '../media/media.ts'
import { type Act, actionView, replaceText } from '../sending/act-repository.ts'
import { checkContent } from '../sending/content/request.ts'
import type { Backlog, Pace } from '../sending/limits.ts'
import { laneOf } from '../sending/queue/lane-of.ts'
import type { WaitingMessages } from '../sending/queue/lane-repository.ts'
import type { Recipients } from '../sending/recipients.ts'
import type { MessageEndings } from '../sending/statuses/ending-repository.ts'
import type { StatusWriter } from '../sending/statuses/status-repository.ts'
import type { Accepting, ActRepository } from './action-repository.ts'
import { editsIn, partsBeside, refuseUneditable } from './edits.ts'
import { NO_REACTION, refuseOtherRoom } from './handlers.ts'
import { chosenIn } from './polls.ts'
import { checkEmoji, hasReaction } from './reactions.ts'
import { isWaiting, refuseGone, type Target, type Targets } from './targets.ts'

export interface ActionsOptions {
  acts: ActRepository
  targets: Targets
  chats: Pick<ChatRepository, 'get' | 'find' | 'living' | 'featuresOf'>
  devices: Pick<LinkedDevices, 'get' | 'linked'>
  recipients: Pick<Recipients, 'keyOf' | 'known'>
  waiting: Pick<WaitingMessages, 'lanesOfPeople'>
  endings: Pick<MessageEndings, 'takeBack'>
  statuses: Pick<StatusWriter, 'endedUntried'>
  media: Pick<MediaFiles, 'get' | 'discardAll'>
  backlog: Pick<Backlog, 'enter' | 'leave'>
  paceOf(platform: string): Pace
  clock: Clock
}

/** Why a reading is cancelled that waits as another one comes. */
const REPLACED = 'a newer reading of the chat replaced it'

/** Whose message it is. */
export interface MessageRef {
  identityId: string
  /** `msg_…`, or the id of its event. */
  messageId: string
}

/** Keeps the answer. */
type Record = Recorder<ActionView> | undefined

/** Where an act waits for its turn. */
interface Place {
  lane: string
  recipientKind: RecipientKind
  recipient: string
  /** Null where the network's features, or the chat itself, aren't known yet. */
  takes: RoomFeatures | null
}

/** A message that can be acted on now. */
interface Aim {
  target: Target
  device: Device
  place: Place
}

export type Actions = ReturnType<typeof createActions>

export function createActions(options: ActionsOptions) {
  const { acts, targets, chats, devices, recipients, endings, statuses, media, backlog, paceOf, clock } =
    options

  /** @throws GatewayError not_found, conflict, unprocessable */
  async function aimAt({ identityId, messageId }: MessageRef): Promise<Aim> {
    const target = await targets.get(identityId, messageId)
    refuseGone(target)
    const device = await devices.get(target.deviceRowId)
    if (!device || device.removedAt !== null)
      throw new GatewayError('conflict', `the device of the message ${messageId} was deleted`)
    if (device.state === 'logged_out') throw loggedOut(device)
    return { target, device, place: await placeOf(target, device) }
  }

  async function placeOf(target: Target, device: Device): Promise<Place> {
    const { sent, said, identityId } = target
    if (sent && (said === null || isWaiting(target))) {
      const { lane, recipientKind, recipient } = sent
      const key = lane.slice(lane.indexOf('/') + 1)
      const chat = await recipients.known(device, { kind: recipientKind, recipient, key })
      return { lane, recipientKind, recipient: chat?.id ?? recipient, takes: chat?.takes ?? null }
    }
    const roomId = said?.roomId ?? ''
    const chat = await chats.get(identityId, roomId)
    if (!chat) throw new GatewayError('not_found', `the chat of the message ${target.id} is gone`)
    const living = await chats.living(identityId, chat)
    refuseOtherRoom(living, roomId)
    const takes = await chats.featuresOf(living)
    return { ...(await laneIn(device, living, sent)), recipient: living.id, takes }
  }

  /** Where a send to the chat would wait now. */
  async function laneIn(device: Device, chat: Chat, sent: Target['sent']) {
    const recipientKind: RecipientKind = sent?.recipientKind ?? (chat.kind === 'dm' ? 'contact' : 'group')
    const lane = await laneOf(options, device, recipientKind, sent?.recipient ?? chat.roomId)
    return { lane, recipientKind }
  }

  async function accept(
    {
      target,
      device,
      place,
    }: Pick<Aim, 'device' | 'place'> & { target: Pick<Target, 'identityId'> & { id: string | null } },
    act: ActType,
    more: { text?: string; content?: ActArguments; before?: Accepting['before'] },
    record: Record,
  ): Promise<ActionView> {
    const { identityId, id } = target
    const { lane, recipientKind, recipient } = place
    const row = {
      id: timeOrderedId('act_'),
      ...{ identityId, deviceRowId: device.id, lane, recipientKind, recipient, act, target: id },
      text: more.text ?? null,
      content: more.content ?? null,
    }
    backlog.enter(identityId, 1, paceOf(device.platform).intervalMs)
    try {
      const keep = async (tx: Tx, stored: Act) => record?.(tx, actionView(stored))
      const accepted = await acts.accept(row, { before: more.before, record: keep }, clock.now())
      if (!accepted.waits) backlog.leave(identityId, 1)
      return actionView(accepted.act)
    } catch (error) {
      backlog.leave(identityId, 1)
      throw error
    }
  }

  /** @throws GatewayError unsupported_by_chat */
  function refuseUnsupported({ device }: Aim, unsupported: Unsupported | null): void {
    if (unsupported) throw unsupportedByChat(device.platform, unsupported)
  }

  /** @returns why the network doesn't take the message with that text */
  async function unsupportedText(
    { sent, captionEventId }: Target,
    { text, content }: { text: string; content: SendContent | null },
    takes: RoomFeatures | null,
  ): Promise<Unsupported | null> {
    const mediaId = captionEventId === null ? (sent?.mediaId ?? null) : null
    const file = mediaId === null ? undefined : await media.get(mediaId)
    // Before it is sent, a caption may still go by itself.
    const plan =
      sent && sent.eventId === null
        ? planMessage({ text, content, file, isReply: sent.replyTo !== null }, takes)
        : planEdit({ text, content, file }, takes)
    return 'unsupported' in plan ? plan.unsupported : null
  }

  async function eventIn(chat: Chat, identityId: string, messageId: string): Promise<string> {
    const { said } = await targets.get(identityId, messageId)
    if (said?.roomId === chat.roomId) return said.eventId
    throw new GatewayError('unprocessable', `up_to: the message ${messageId} was not said in the chat`)
  }

  return {
    /**
     * Reacts to a message; an earlier reaction goes.
     * @throws GatewayError bad_request (no emoji), not_found, conflict, unprocessable,
     * unsupported_by_chat, too_many_requests
     */
    async react(message: MessageRef, emoji: string, record?: Record): Promise<ActionView> {
      checkEmoji(emoji)
      const aim = await aimAt(message)
      refuseScheduled(aim.target)
      refuseUnsupported(aim, unsupportedReaction(emoji, aim.place.takes))
      return accept(aim, 'react', { content: { emoji } }, record)
    },

    /**
     * Takes the account's own reaction back, also one made at the phone.
     * @throws GatewayError as `react`, conflict when there is none
     */
    async unreact(message: MessageRef, record?: Record): Promise<ActionView> {
      const aim = await aimAt(message)
      const { identityId, id: target, said } = aim.target
      const isThere =
        hasReaction(await acts.on({ identityId, target })) ||
        (said !== null && (await targets.reactionElsewhere(identityId, said.eventId)) !== null)
      if (!isThere) throw new GatewayError('conflict', NO_REACTION)
      return accept(aim, 'unreact', {}, record)
    },

    /**
     * Takes a message back from those who got it. One that is still queued is cancelled.
     * @throws GatewayError as `react`, unprocessable when it isn't one's own
     */
    async unsend(message: MessageRef, record?: Record): Promise<ActionView> {
      const aim = await aimAt(message)
      const { target, place } = aim
      refuseOthers(target, 'unsent')
      if (!isWaiting(target))
        refuseUnsupported(aim, unsupportedUnsend({ ageMs: clock.now() - target.sentAt }, place.takes))
      let unneeded: string[] = []
      const before = async (tx: Tx) => {
        const files = await endings.takeBack(tx, message.identityId, target.id, clock.now())
        unneeded = files ?? []
        return files !== null
      }
      const action = await accept(aim, 'unsend', target.sent ? { before } : {}, record)
      await media.discardAll(unneeded)
      return action
    },

    /**
     * Changes the text of a message, or the caption of a file. One that nobody has tried to send is
     * changed in its place.
     * @throws GatewayError as `unsend`, bad_request
     */
    async edit(message: MessageRef, text: string, record?: Record): Promise<ActionView> {
      if (isBlank(text)) throw new GatewayError('bad_request', 'text: expected a text')
      const aim = await aimAt(message)
      const { target, place } = aim
      refuseOthers(target, 'edited')
      refuseUneditable(target)
      const content = partsBeside(text, target.sent?.content ?? null)
      const { identityId, id } = target
      checkContent({ identityId, deviceId: aim.device.deviceId, text, content: content ?? undefined })
      if (!isWaiting(target)) {
        const edits = editsIn(await acts.on({ identityId, target: id }))
        refuseUnsupported(aim, unsupportedEdit({ ageMs: clock.now() - target.sentAt, edits }, place.takes))
      }
      refuseUnsupported(aim, await unsupportedText(target, { text, content }, place.takes))
      const inPlace = (tx: Tx) => replaceText(tx, { identityId, id, text, content }, clock.now())
      return accept(aim, 'edit', { text, ...(target.sent && { before: inPlace }) }, record)
    },

    /**
     * Votes in a poll; an earlier vote is replaced, and taken back where nothing is chosen.
     * @param options ids or texts
     * @throws GatewayError as `react`, unprocessable when it is no poll
     */
    async vote(message: MessageRef, options: readonly string[], record?: Record): Promise<ActionView> {
      const aim = await aimAt(message)
      const { poll } = aim.target
      refuseScheduled(aim.target)
      if (!poll) throw new GatewayError('unprocessable', `the message ${aim.target.id} is no poll`)
      const votes = chosenIn(poll, options)
      refuseUnsupported(aim, unsupportedVote(aim.place.takes))
      return accept(aim, 'vote', { content: { votes } }, record)
    },

    /**
     * Marks a chat as read; an earlier such action that still waits is cancelled.
     * @param of.chatId its id, or that of a room
     * @param of.upTo a message: everything up to it; by default up to the newest
     * @throws GatewayError not_found, conflict, unprocessable (the message is of another chat)
     */
    async read(
      { identityId, chatId, upTo }: { identityId: string; chatId: string; upTo?: string | undefined },
      record?: Record,
    ): Promise<ActionView> {
      const chat = await chats.find(identityId, chatId)
      if (!chat) throw new GatewayError('not_found', `there is no chat ${chatId}`)
      const device = (await devices.linked(identityId)).find(one => isChatOf(one, chat))
      if (!device) throw new GatewayError('conflict', `no device of the chat ${chatId} is linked`)
      if (device.state === 'logged_out') throw loggedOut(device)
      const eventId =
        upTo === undefined ? await targets.newestIn(chat) : await eventIn(chat, identityId, upTo)
      const { lane, recipientKind } = await laneIn(device, chat, null)
      const place = { lane, recipientKind, recipient: chat.id, takes: null }
      const before = async (tx: Tx) => {
        if (eventId !== null) await markRead(tx, { identityId, roomId: chat.roomId, eventId })
        for (const other of await acts.queued(tx, lane, 'read'))
          if (other.recipient === chat.id)
            await statuses.endedUntried(tx, other, 'cancelled', REPLACED, clock.now())
        // Nothing was ever said there.
        return eventId === null
      }
      const aim = { target: { identityId, id: null }, device, place }
      return accept(aim, 'read', { content: eventId === null ? {} : { upTo: eventId }, before }, record)
    },

    /** @throws GatewayError not_found */
    async get(identityId: string, id: string): Promise<ActionView> {
      const act = await acts.get(identityId, id)
      if (act) return actionView(act)
      throw new GatewayError('not_found', `there is no action ${id}`)
    },
  }
}

/** Whatever waits for such a message would hold up its chat for days. */
function refuseScheduled({ id, sent }: Target): void {
  if (sent?.status !== 'scheduled') return
  throw new GatewayError('conflict', `the message ${id} is sent later (send_at): nobody has it yet`)
}

/** @param done completes "only your own messages can be …" */
function refuseOthers({ isOwn }: Target, done: string): void {
  if (isOwn) return
  throw new GatewayError('unprocessable', `only your own messages can be ${done}`)
}
