/** Who is in a chat, and what they may do there, by the state of its room. */
import { z } from 'zod'
import type { Device } from '../../db/schema/index.ts'
import type { MatrixSessions, RoomEvent } from '../../domain/ports.ts'
import type { MemberView } from '../../domain/views/group.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'
import type { ChatRooms } from '../chats/chat-rooms.ts'
import type { KnownPeople } from '../chats/known-people.ts'
import { isOwnGhost } from '../devices/ghosts.ts'
import type { ChatAccess } from './chat-access.ts'

export interface MembersOptions {
  access: Pick<ChatAccess, 'find'>
  chatRooms: Pick<ChatRooms, 'ensureEntered'>
  knownPeople: Pick<KnownPeople, 'person'>
  sessions: Pick<MatrixSessions, 'actingAs'>
  matrixUserOf(identityId: string): Promise<string>
}

/** The level from which on bridges give somebody the rights of an admin. */
export const ADMIN_LEVEL = 50
const PRESENT = ['join', 'invite']

const memberContent = z.object({
  membership: z.string(),
  displayname: z.string().nullish().catch(null),
  avatar_url: z.string().startsWith('mxc://').nullish().catch(null),
})
export const levelsContent = z.object({
  users: z.record(z.string(), z.number()).catch({}).default({}),
  users_default: z.number().catch(0).default(0),
})
/** Bots that only serve the room (MSC4171, as bridges write it). */
const functionalMembers = z.object({ service_members: z.array(z.string()).catch([]) })

export function createMembers(options: MembersOptions) {
  const { access, chatRooms, knownPeople, sessions, matrixUserOf } = options

  async function memberView(
    { userId, name, avatarUri, isInvited, level }: RoomMember,
    device: Device,
    self: string,
  ): Promise<MemberView> {
    const isSelf = userId === self
    const knownAs = isSelf ? (device.ghostUserId ?? userId) : userId
    const person = await knownPeople.person(device, knownAs, name, avatarUri)
    const role = level >= ADMIN_LEVEL ? 'admin' : 'member'
    return { ...person, role: isInvited ? 'invited' : role, is_self: isSelf }
  }

  return {
    /**
     * @param reference the chat's id, or that of a room that it is or was in
     * @returns by name, the account itself first
     * @throws GatewayError not_found, conflict (its device isn't linked any more), and as sessions
     * do
     */
    async list(identityId: string, reference: string): Promise<MemberView[]> {
      const { chat, device } = await access.find(identityId, reference)
      const { roomId, bridgeBot } = await chatRooms.ensureEntered(identityId, chat.roomId)
      const self = await matrixUserOf(identityId)
      const state = await sessions.actingAs(self).state(roomId)
      const shown: MemberView[] = []
      const turn = new TurnBudget()
      for (const member of membersIn(state)) {
        // The account may be there twice: as our user, and as its own ghost.
        const isDouble = member.userId !== self && isOwnGhost(member.userId, device)
        if (member.userId === bridgeBot || isDouble) continue
        shown.push(await memberView(member, device, self))
        if (turn.isSpent) await turn.pause()
      }
      return shown.sort(
        (one, other) => Number(other.is_self) - Number(one.is_self) || one.name.localeCompare(other.name),
      )
    },
  }
}

interface RoomMember {
  userId: string
  name: string
  avatarUri: string | null
  isInvited: boolean
  level: number
}

/** @param state of a room, in full */
function membersIn(state: readonly RoomEvent[]): RoomMember[] {
  const contentOf = (type: string) => state.find(event => event.type === type)?.content
  const levels = levelsContent.parse(contentOf('m.room.power_levels') ?? {})
  const functional = functionalMembers.safeParse(contentOf('io.element.functional_members')).data
  return state.flatMap(({ type, state_key: userId, content }) => {
    const member = type === 'm.room.member' ? memberContent.safeParse(content).data : undefined
    if (!member || userId === undefined || !PRESENT.includes(member.membership)) return []
    if (functional?.service_members.includes(userId)) return []
    const level = levels.users[userId] ?? levels.users_default
    const { displayname, avatar_url: avatarUri = null, membership } = member
    return [{ userId, name: displayname ?? '', avatarUri, isInvited: membership === 'invite', level }]
  })
}
