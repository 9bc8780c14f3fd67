/**
 * What bridges only do as commands to their bot: joining groups by invite link. Commands go to the management room, a direct chat
 * with the bot, and are answered there by a notice.
 */
import { GatewayError } from '../domain/errors.ts'
import type { MatrixSession, RoomEvent } from '../domain/ports.ts'
import type { Clock } from '../lib/clock.ts'
import { timeOrderedId } from '../lib/tokens.ts'

/** How long a bot may take to join the room, and to answer a command, in milliseconds. */
const PATIENCE_MS = 30_000
/** First and longest wait between two looks for the answer, in milliseconds. */
const FIRST_LOOK_MS = 20
const LONGEST_LOOK_MS = 1_000

export interface BotCommands {
  /**
   * Sends one command and waits for the bot's answer. Commands of one user are sent one after the other, so that answers can be told
   * apart.
   * @param managementRoom as the bridge knows it; null makes one
   * @returns the text of the answer
   * @throws GatewayError bridge_timeout when the bot stays silent
   */
  run(session: MatrixSession, bot: string, managementRoom: string | null, command: string): Promise<string>
}

export function createBotCommands(platform: string, clock: Clock): BotCommands {
  const rooms = new Map<string, string>()
  const queues = new Map<string, Promise<unknown>>()

  async function runNow(session: MatrixSession, bot: string, managementRoom: string | null, command: string) {
    const roomId = managementRoom ?? rooms.get(session.userId) ?? (await session.createDirectRoom(bot))
    rooms.set(session.userId, roomId)
    await untilDefined(async () => {
      const state = await session.state(roomId)
      return state.find(event => isJoinOf(event, bot))
    })
    const commandId = await session.send(
      roomId,
      'm.room.message',
      { msgtype: 'm.text', body: command },
      timeOrderedId('cmd_'),
    )
    return untilDefined(async () =>
      answerTo(commandId, bot, (await session.messagesBackwards(roomId, 20)).events),
    )
  }

  /** Asks again, less and less often, until there is an answer. */
  async function untilDefined<T>(look: () => Promise<T | undefined>): Promise<T> {
    const deadline = clock.now() + PATIENCE_MS
    for (let waitMs = FIRST_LOOK_MS; clock.now() < deadline; waitMs = Math.min(waitMs * 2, LONGEST_LOOK_MS)) {
      const found = await look()
      if (found !== undefined) return found
      await clock.sleep(waitMs)
    }
    throw new GatewayError(
      'bridge_timeout',
      `the ${platform} bridge's bot didn't answer within ${PATIENCE_MS / 1000} s`,
    )
  }

  return {
    run(session, bot, managementRoom, command) {
      const before = queues.get(session.userId) ?? Promise.resolve()
      const result = before.then(() => runNow(session, bot, managementRoom, command))
      const settled = result.catch(() => undefined)
      queues.set(session.userId, settled)
      void settled.then(() => {
        if (queues.get(session.userId) === settled) queues.delete(session.userId)
      })
      return result
    },
  }
}

function isJoinOf(event: RoomEvent, userId: string): boolean {
  return event.type === 'm.room.member' && event.state_key === userId && event.content.membership === 'join'
}

/** @param events newest first */
function answerTo(commandId: string, bot: string, events: RoomEvent[]): string | undefined {
  const commandAt = events.findIndex(event => event.event_id === commandId)
  const since = commandAt === -1 ? [] : events.slice(0, commandAt)
  const answer = since.findLast(event => event.sender === bot && event.type === 'm.room.message')
  return answer && typeof answer.content.body === 'string' ? answer.content.body : undefined
}
