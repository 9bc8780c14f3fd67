/** The rooms of portals: how one is made and described, and how a chat moves to another id. */
import { MatrixError } from '../../lib/matrix-error.ts'
import type { Chat, Login, Media } from '../network/types.ts'
import { inviteLinkOf } from '../platforms.ts'
import { type BridgeContext, directId } from './context.ts'
import type { Ghosts } from './ghosts.ts'
import { ROOM_FEATURES_TYPE, roomFeatures } from './room-features.ts'
import { powerLevelsOf, settingsOf } from './room-settings.ts'

const BRIDGE_STATE = 'm.bridge'
const OLD_BRIDGE_STATE = 'uk.half-shot.bridge'

export function createPortalRooms(
  context: BridgeContext,
  ghosts: Ghosts,
  mxcOf: (media: Media) => Promise<string>,
) {
  const { botUserId, facts, homeserver } = context

  async function create(login: Login, chat: Chat): Promise<string> {
    const members = await Promise.all(ghostPhones(login, chat).map(phone => ghosts.ensure(phone, chat)))
    const roomId = await homeserver.createRoom({
      visibility: 'private',
      preset: 'private_chat',
      is_direct: chat.group === null,
      ...(chat.group ? { name: chat.group.name } : {}),
      power_level_content_override: powerLevelsOf(context, login, chat),
      invite: [login.userId, ...members],
      initial_state: [
        ...[BRIDGE_STATE, OLD_BRIDGE_STATE].map(type => ({
          type,
          state_key: facts.networkId,
          content: bridgeState(login, chat),
        })),
        { type: ROOM_FEATURES_TYPE, state_key: facts.networkId, content: roomFeatures(facts.platform, chat) },
        ...(await settingsOf(context, chat, mxcOf)),
      ],
    })
    await Promise.all(members.map(ghost => homeserver.join(roomId, ghost)))
    return roomId
  }

  function bridgeState(login: Login, chat: Chat): Record<string, unknown> {
    const network = { id: facts.networkId, displayname: facts.displayName, external_url: facts.networkUrl }
    return {
      bridgebot: botUserId,
      creator: botUserId,
      protocol: network,
      network,
      channel: {
        id: channelId(login, chat),
        displayname: chat.group?.name ?? context.network.store.phone(otherPhone(login, chat)).name,
        ...(chat.group?.inviteCode ? { external_url: inviteLinkOf(facts, chat.group) } : {}),
        'fi.mau.receiver': login.id,
      },
      ...roomTypes(chat),
    }
  }

  function channelId(login: Login, chat: Chat): string {
    return chat.group?.groupId ?? facts.directChannelId(directId(context, otherPhone(login, chat)))
  }

  /** Updates the features of a room created when the network accepted other things. */
  async function updateFeatures(roomId: string, login: Login, chat: Chat): Promise<void> {
    const features = roomFeatures(facts.platform, chat)
    const known = await homeserver.state(roomId, ROOM_FEATURES_TYPE, facts.networkId)
    if (known?.id === features.id) return
    const levels = await homeserver.state(roomId, 'm.room.power_levels', '')
    const content = { ...levels, ...powerLevelsOf(context, login, chat) }
    await homeserver.setState(roomId, 'm.room.power_levels', '', content)
    await homeserver.setState(roomId, ROOM_FEATURES_TYPE, facts.networkId, { ...features })
  }

  async function bringGhost(roomId: string, phone: string, chat: Chat): Promise<void> {
    const ghost = await ghosts.ensure(phone, chat)
    const member = await homeserver.state(roomId, 'm.room.member', ghost)
    if (member?.membership === 'join') return
    if (member?.membership !== 'invite') await homeserver.invite(roomId, ghost)
    await homeserver.join(roomId, ghost)
  }

  async function describe(roomId: string, login: Login, chat: Chat): Promise<void> {
    for (const type of [BRIDGE_STATE, OLD_BRIDGE_STATE])
      await homeserver.setState(roomId, type, facts.networkId, bridgeState(login, chat))
  }

  return {
    create,
    channelId,
    bringGhost,
    updateFeatures,
    describe,

    /** True when the room's state names the chat. */
    async isOf(roomId: string, login: Login, chat: Chat): Promise<boolean> {
      const state = await homeserver.state(roomId, BRIDGE_STATE, facts.networkId)
      const channel = state?.channel as Record<string, unknown> | undefined
      return channel?.id === channelId(login, chat) && channel['fi.mau.receiver'] === login.id
    },

    /** The other party has another id now: its ghost takes the place of the one before. */
    async change(roomId: string, login: Login, chat: Chat): Promise<void> {
      const phone = otherPhone(login, chat)
      const ghost = await ghosts.ensure(phone, chat)
      for (const id of [facts.accountId(phone), facts.personId(phone)]) {
        const other = homeserver.userId(`${facts.networkId}_${id}`)
        if (other !== ghost) await homeserver.leave(roomId, other).catch(unlessOut)
      }
      await bringGhost(roomId, phone, chat)
      await describe(roomId, login, chat)
    },

    /** As bridgev2 does when two rooms become one (portalreid.go): all but the user leave it. */
    async close(roomId: string, login: Login, chat: Chat, replacement: string): Promise<void> {
      const content = { body: 'This room has been merged', replacement_room: replacement }
      await homeserver.setState(roomId, 'm.room.tombstone', '', content)
      for (const phone of ghostPhones(login, chat)) {
        for (const id of [facts.accountId(phone), facts.personId(phone)])
          await homeserver.leave(roomId, homeserver.userId(`${facts.networkId}_${id}`)).catch(unlessOut)
      }
      await homeserver.leave(roomId)
    },
  }
}

function unlessOut(error: unknown): void {
  if (!(error instanceof MatrixError) || (error.status !== 403 && error.status !== 404)) throw error
}

/** Bridges don't show who follows a channel or sees status posts. */
export function ghostPhones(login: Login, chat: Chat): string[] {
  if (chat.group && chat.group.kind !== 'group') return [login.phone]
  return isMember(login, chat) ? [...new Set([...chat.members, login.phone])] : [...chat.members]
}

/** False once the phone has left the group. */
export function isMember({ phone }: Login, { group, members }: Chat): boolean {
  return group?.kind !== 'group' || members.includes(phone)
}

/** Bridges give a channel and the chat of status posts no type. */
function roomTypes({ group }: Chat): Record<string, string> {
  if (group && group.kind !== 'group') return {}
  const [type, v2] = group ? ['group', 'group_dm'] : ['dm', 'dm']
  return { 'com.beeper.room_type': type, 'com.beeper.room_type.v2': v2 }
}

/** @returns the phone at the other end of a login's direct chat */
export function otherPhone(login: Login, chat: Chat): string {
  return chat.members.find(phone => phone !== login.phone) ?? login.phone
}
