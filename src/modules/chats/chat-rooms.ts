/**
 * Enters chats: joins a room and reads what chat it is, which is all that sending needs. Receiving
 * takes up the messages from before (receiving/invitations.ts).
 */
import type { Chat } from '../../db/schema/index.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { Fact } from '../../domain/facts.ts'
import type { MatrixSession, MatrixSessions } from '../../domain/ports.ts'
import type { RoomFeatures } from '../../domain/room-features.ts'
import type { Clock } from '../../lib/clock.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import { factsOf } from '../../matrix/translate/facts.ts'
import { type ChatRepository, MAX_MOVES } from './chat-repository.ts'
import { columnsOf, describeChat, membersIn } from './description.ts'
import type { KnowledgeOf } from './knowledge.ts'

export interface ChatRoomsOptions {
  repository: ChatRepository
  knowledgeOf: KnowledgeOf
  sessions: Pick<MatrixSessions, 'actingAs'>
  matrixUserOf(identityId: string): Promise<string>
  clock: Clock
}

export interface EnteredChat extends Chat {
  /** The network's features; null where the bridge states none. */
  takes: RoomFeatures | null
}

const ABOUT_ROOMS: readonly Fact['fact'][] = ['portal', 'features', 'moved', 'room']

export type ChatRooms = ReturnType<typeof createChatRooms>

export function createChatRooms(options: ChatRoomsOptions) {
  const { repository, knowledgeOf, sessions, matrixUserOf, clock } = options
  const entering = new SingleFlight<readonly Fact[]>()

  async function enter(identityId: string, roomId: string): Promise<readonly Fact[]> {
    const session = sessions.actingAs(await matrixUserOf(identityId))
    const before = await repository.get(identityId, roomId)
    if (before?.membership !== 'joining' && before?.membership !== 'joined') {
      await joinRoom(session, identityId, roomId)
      await repository.setMembership(identityId, roomId, 'joining', clock.now())
    }
    const state = (await session.state(roomId)).flatMap(factsOf)
    const { believed, platforms, devices } = await believedOf(state, roomId)
    const description = describeChat(believed)
    const memberCount = membersIn(state, description.bridgeBot, devices.get(identityId) ?? [])
    const described = columnsOf({ features: {}, ...description, memberCount }, platforms)
    await repository.describe(identityId, roomId, described, clock.now())
    return state
  }

  async function joinRoom(session: MatrixSession, identityId: string, roomId: string): Promise<void> {
    try {
      await session.join(roomId)
    } catch (error) {
      const isFinal =
        error instanceof GatewayError && (error.code === 'forbidden' || error.code === 'not_found')
      // The invitation was taken back, or the room is gone: there is nothing to wait for.
      if (isFinal) await repository.setMembership(identityId, roomId, 'left', clock.now())
      throw error
    }
  }

  /** @returns facts about the room itself, without those that falsely claim to be its bridge's */
  async function believedOf(state: readonly Fact[], roomId: string) {
    const ofRoom = state.filter(({ fact }) => ABOUT_ROOMS.includes(fact))
    const { forged, platforms, devices } = await knowledgeOf(ofRoom, { rooms: [roomId] })
    return { believed: ofRoom.filter(fact => !forged.has(fact)), platforms, devices }
  }

  /**
   * Joins the room unless we are in it, and reads its state: the chat is described then, and marked
   * `joining`.
   * @returns facts of the room's state, in full
   * @throws GatewayError as `ensureEntered`
   */
  function enterOnce(identityId: string, roomId: string): Promise<readonly Fact[]> {
    return entering.run(`${identityId} ${roomId}`, () => enter(identityId, roomId))
  }

  /** For a chat that was joined by a version that didn't ask: it is asked once. */
  async function withFeatures(chat: Chat): Promise<Chat> {
    const { identityId, roomId } = chat
    const state = await sessions.actingAs(await matrixUserOf(identityId)).state(roomId)
    const { believed } = await believedOf(state.flatMap(factsOf), roomId)
    const content = describeChat(believed).features ?? null
    return { ...chat, features: await repository.learnFeatures(identityId, roomId, content) }
  }

  async function entered(identityId: string, roomId: string): Promise<Chat> {
    const known = await repository.get(identityId, roomId)
    if (known && (known.membership === 'joined' || known.movedTo !== null)) return known
    await enterOnce(identityId, roomId)
    const chat = await repository.get(identityId, roomId)
    if (chat) return chat
    throw new GatewayError('not_found', `the chat ${roomId} is gone`)
  }

  return {
    enter: enterOnce,

    /**
     * Makes sure the identity is in the chat, and the chat is known.
     * @param roomId of the chat, or of one that its bridge has closed in favour of it
     * @throws GatewayError forbidden when it may not join, and as sessions do
     */
    async ensureEntered(identityId: string, roomId: string): Promise<EnteredChat> {
      let chat = await entered(identityId, roomId)
      for (let moves = 0; chat.movedTo !== null && moves < MAX_MOVES; moves++)
        chat = await entered(identityId, chat.movedTo)
      if (chat.features === null) chat = await withFeatures(chat)
      return { ...chat, takes: await repository.featuresOf(chat) }
    },
  }
}
