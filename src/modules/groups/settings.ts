/**
 * Changes chats as a whole. Each change is an act: a row of the outbox that waits in the lane of
 * its chat, and is one event of its room. Muting and archiving are the gateway's own, and done at
 * once: they are a user's account data, which homeservers show to no bridge.
 */
import type { Chat, Device } from '../../db/schema/index.ts'
import type { ActArguments } from '../../domain/act-arguments.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { Bridges } from '../../domain/ports.ts'
import type { ChatActType, RecipientKind } from '../../domain/states.ts'
import type { ActionView } from '../../domain/views/action.ts'
import { isMatrixUserId } from '../../domain/written-recipients.ts'
import type { Clock } from '../../lib/clock.ts'
import { trimmed } from '../../lib/phone-numbers.ts'
import { timeOrderedId } from '../../lib/tokens.ts'
import { unsupportedByChat } from '../chats/capabilities.ts'
import type { ChatRepository } from '../chats/chat-repository.ts'
import type { PeoplesPhones } from '../chats/phones.ts'
import { resolveContact } from '../chats/resolve.ts'
import { unsupportedSetting } from '../chats/setting-capabilities.ts'
import { loggedOut } from '../devices/refusals.ts'
import type { Recorder } from '../idempotency/types.ts'
import type { MediaFiles, StagedFile } from '../media/media.ts'
import type { NewAct } from '../sending/act-repository.ts'
import type { Backlog, Pace } from '../sending/limits.ts'
import { type LaneParts, laneOf } from '../sending/queue/lane-of.ts'
import type { ChatAccess } from './chat-access.ts'
import type { SettingsRepository } from './settings-repository.ts'

export interface SettingsOptions extends LaneParts {
  repository: SettingsRepository
  access: Pick<ChatAccess, 'find'>
  chats: Pick<ChatRepository, 'featuresOf'>
  bridges: Pick<Bridges, 'forPlatform'>
  phones: Pick<PeoplesPhones, 'note'>
  media: Pick<MediaFiles, 'discard'>
  backlog: Pick<Backlog, 'enter' | 'leave'>
  paceOf(platform: string): Pace
  matrixUserOf(identityId: string): Promise<string>
  clock: Clock
}

/** Fields that are absent stay as they are. */
export interface ChatChange {
  name?: string | undefined
  topic?: string | undefined
  /** Null: none any more. */
  avatar?: StagedFile | null | undefined
  /** Seconds; 0: never. */
  disappearingS?: number | undefined
  muted?: boolean | undefined
  archived?: boolean | undefined
}

/** People as they are written to. */
export interface MemberChange {
  add?: readonly string[] | undefined
  remove?: readonly string[] | undefined
  promote?: readonly string[] | undefined
  demote?: readonly string[] | undefined
}

interface Asked {
  act: ChatActType
  text?: string
  content?: ActArguments
  file?: StagedFile
}

/** Keeps the answer. */
type Record = Recorder<ActionView[]> | undefined

const MEMBER_ACTS = [
  ['add', 'add_member'],
  ['remove', 'remove_member'],
  ['promote', 'promote_member'],
  ['demote', 'demote_member'],
] as const

export function createSettings(options: SettingsOptions) {
  const { repository, access, chats, bridges, phones, media, backlog, paceOf, clock } = options

  /**
   * @param own the gateway's own part of the change
   * @throws GatewayError unsupported_by_chat, conflict (logged out), too_many_requests
   */
  async function accept(
    { chat, device }: { chat: Chat; device: Device },
    asked: readonly Asked[],
    record: Record,
    own: Pick<ChatChange, 'muted' | 'archived'> = {},
  ): Promise<ActionView[]> {
    if (asked.length > 0 && device.state === 'logged_out') throw loggedOut(device)
    const takes = await chats.featuresOf(chat)
    for (const { act, content } of asked) {
      const unsupported = unsupportedSetting(act, takes, content?.disappearingS)
      if (unsupported) throw unsupportedByChat(device.platform, unsupported)
    }
    const recipientKind: RecipientKind = chat.kind === 'dm' ? 'contact' : 'group'
    const lane = await laneOf(options, device, recipientKind, chat.roomId)
    const { identityId, id: recipient } = chat
    const rows = asked.map(
      ({ act, text, content, file }): NewAct => ({
        id: timeOrderedId('act_'),
        identityId,
        deviceRowId: device.id,
        recipient,
        recipientKind,
        lane,
        act,
        target: null,
        text: text ?? null,
        content: content ?? null,
        mediaId: file?.id ?? null,
      }),
    )
    const file = asked.find(one => one.file)?.file
    backlog.enter(identityId, rows.length, paceOf(device.platform).intervalMs)
    try {
      return await repository.accept({ chat, device, rows, file, own, record }, clock.now())
    } catch (error) {
      backlog.leave(identityId, rows.length)
      throw error
    }
  }

  /** @param field names it in an error */
  async function memberOf(device: Device, written: string, field: string): Promise<ActArguments> {
    if (isMatrixUserId(trimmed(written))) return { member: { written, userId: trimmed(written) } }
    try {
      const userId = await options.matrixUserOf(device.identityId)
      const bridge = bridges.forPlatform(device.platform)
      const { contact } = await resolveContact(bridge, device, userId, written)
      await phones.note(device, contact, trimmed(written))
      if (contact.matrixUserId) return { member: { written, userId: contact.matrixUserId } }
      throw new GatewayError('not_found', 'the bridge has no user for them')
    } catch (error) {
      if (!(error instanceof GatewayError) || !['not_found', 'bad_request'].includes(error.code)) throw error
      throw new GatewayError(error.code, `${field}: ${JSON.stringify(written)}: ${error.message}`)
    }
  }

  return {
    /**
     * @param reference the chat's id, or that of a room that it is or was in
     * @returns an action for each field that the network has to take
     * @throws GatewayError bad_request (nothing is to change), not_found, conflict,
     * unsupported_by_chat, too_many_requests; a staged picture is then discarded
     */
    async update(
      identityId: string,
      reference: string,
      { muted, archived, ...change }: ChatChange,
      record?: Record,
    ): Promise<ActionView[]> {
      try {
        const asked = askedOf(change)
        if (asked.length === 0 && muted === undefined && archived === undefined)
          throw new GatewayError(
            'bad_request',
            'expected at least one of name, topic, avatar, disappearing_s, muted, archived',
          )
        return await accept(await access.find(identityId, reference), asked, record, { muted, archived })
      } catch (error) {
        if (change.avatar) await media.discard(change.avatar)
        throw error
      }
    },

    /** @returns an action for each person. @throws GatewayError as `update`, naming the person */
    async changeMembers(
      identityId: string,
      reference: string,
      change: MemberChange,
      record?: Record,
    ): Promise<ActionView[]> {
      const found = await access.find(identityId, reference)
      if (found.chat.kind !== 'group')
        throw new GatewayError('unprocessable', 'only a group has members that can be changed')
      const asked: Asked[] = []
      for (const [field, act] of MEMBER_ACTS)
        for (const [index, written] of (change[field] ?? []).entries())
          asked.push({ act, content: await memberOf(found.device, written, `${field}.${index}`) })
      if (asked.length === 0)
        throw new GatewayError('bad_request', 'expected somebody to add, remove, promote or demote')
      return accept(found, asked, record)
    },

    /** @throws GatewayError as `update` */
    leave: async (identityId: string, reference: string, record?: Record) =>
      accept(await access.find(identityId, reference), [{ act: 'leave' }], record),

    /** Blocks the person of a direct chat. @throws GatewayError as `update`, unprocessable */
    async block(identityId: string, reference: string, record?: Record): Promise<ActionView[]> {
      const found = await access.find(identityId, reference)
      if (found.chat.kind === 'dm') return accept(found, [{ act: 'block' }], record)
      throw new GatewayError('unprocessable', 'only the person of a direct chat can be blocked')
    },
  }
}

/** The fields that the network has to take, as acts. */
function askedOf({ name, topic, avatar, disappearingS }: Omit<ChatChange, 'muted' | 'archived'>): Asked[] {
  const asked: Asked[] = []
  if (name !== undefined) asked.push({ act: 'rename', text: name })
  if (topic !== undefined) asked.push({ act: 'set_topic', text: topic })
  if (avatar === null) asked.push({ act: 'set_avatar', content: { withoutAvatar: true } })
  else if (avatar !== undefined) asked.push({ act: 'set_avatar', file: avatar })
  if (disappearingS !== undefined) asked.push({ act: 'set_disappearing', content: { disappearingS } })
  return asked
}
