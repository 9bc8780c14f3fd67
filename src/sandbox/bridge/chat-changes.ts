/**
 * Outgoing: what a room is told when its chat changes. As bridgev2 does, the ghost of whoever made
 * the change sets the state if the room lets it, else the bot.
 */
import { MatrixError } from '../../lib/matrix-error.ts'
import type { Chat, Login, Media, Message } from '../network/types.ts'
import { type BridgeContext, ghostUserId } from './context.ts'
import type { Ghosts } from './ghosts.ts'
import type { Portal, Portals } from './portals.ts'
import { powerLevelsOf, timerContent } from './room-settings.ts'

export function createChatChanges(
  context: BridgeContext,
  portals: Portals,
  ghosts: Ghosts,
  mxcOf: (media: Media) => Promise<string>,
) {
  const { botUserId, homeserver } = context

  /** @throws errors other than the room's refusal of a ghost */
  async function asGhostOrBot(ghost: string, call: (as?: string) => Promise<unknown>): Promise<void> {
    await call(ghost).catch(error => {
      if (!isForbidden(error)) throw error
      return call()
    })
  }

  async function remove(roomId: string, userId: string, by: string): Promise<void> {
    const { membership } = (await homeserver.state(roomId, 'm.room.member', userId)) ?? {}
    if (membership !== 'join' && membership !== 'invite') return
    if (userId === by) await homeserver.leave(roomId, userId)
    else await asGhostOrBot(by, as => homeserver.kick(roomId, userId, as))
  }

  /** Gives admins of the group their level, and takes it from those that no longer are. */
  async function updateLevels(roomId: string, login: Login, chat: Chat): Promise<void> {
    const known = (await homeserver.state(roomId, 'm.room.power_levels', '')) ?? {}
    const { users } = powerLevelsOf(context, login, chat)
    if (Bun.deepEquals(known.users, users)) return
    await homeserver.setState(roomId, 'm.room.power_levels', '', { ...known, users })
  }

  async function changeMembers(portal: Portal, login: Login, chat: Chat, message: Message, by: string) {
    const { roomId, userId } = portal
    const { added = [], removed = [] } = message.change ?? {}
    if (added.includes(login.phone)) {
      portals.doubt(portal)
      await portals.ensure(login, chat)
    }
    for (const phone of added) if (chat.members.includes(phone)) await portals.bringGhost(roomId, phone, chat)
    for (const phone of removed.filter(phone => !chat.members.includes(phone))) {
      await remove(roomId, ghostUserId(context, phone, chat), by)
      if (phone === login.phone)
        await remove(roomId, userId, by === ghostUserId(context, phone, chat) ? botUserId : by)
    }
  }

  return {
    /** Sets what the message changes. A repeat sets the same again. */
    async apply(portal: Portal, login: Login, chat: Chat, message: Message): Promise<void> {
      const { roomId } = portal
      const { name, topic, avatar, disappearingS, ...others } = message.change ?? {}
      const by = await ghosts.ensure(message.sender, chat)
      const set = (type: string, content: Record<string, unknown>) =>
        asGhostOrBot(by, as =>
          homeserver.setState(
            roomId,
            type,
            '',
            as ? content : { ...content, 'fi.mau.bridge.set_by': by },
            as,
          ),
        )
      if (name !== undefined) {
        await set('m.room.name', { name })
        await portals.describe(portal, login, chat)
      }
      if (topic !== undefined) await set('m.room.topic', { topic })
      if (avatar !== undefined)
        await set('m.room.avatar', message.media ? { url: await mxcOf(message.media) } : {})
      if (disappearingS !== undefined)
        await set('com.beeper.disappearing_timer', timerContent(context.facts.platform, disappearingS))
      if (Object.keys(others).length === 0 || !chat.group) return
      await changeMembers(portal, login, chat, message, by)
      await updateLevels(roomId, login, chat)
    },
  }
}

function isForbidden(error: unknown): boolean {
  return error instanceof MatrixError && error.status === 403
}
