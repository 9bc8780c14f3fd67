/**
 * What bridges only do as commands to their bot: joining groups by invite link. Commands go to a direct chat with
 * the bot, and are answered there by a notice.
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

/** The bot greets whoever invites it; the greeting is no answer. How long it is waited for, in milliseconds. */
const GREETING_PATIENCE_MS = 2_000
const GREETING = /^hello\b/i

export interface BotCommands {
  /**
   * Sends one command and waits for the bot's answer. Answers carry nothing that ties them to a command, so commands of one user are
   * sent one after the other, and after one that stayed unanswered the next goes to a new room, where no late answer can be taken for
   * its own.
   * @param prefix that makes a message a command in any room, such as `!wa`; null in bridges that have none
   * @returns the text of the answer
   * @throws GatewayError bridge_timeout when the bot stays silent
   */
  run(session: MatrixSession, bot: string, prefix: string | null, command: string): Promise<string>
}

export function createBotCommands(platform: string, clock: Clock): BotCommands {
  const rooms = new Map<string, string>()
  const queues = new Map<string, Promise<unknown>>()

  async function runNow(
    session: MatrixSession,
    bot: string,
    prefix: string | null,
    command: string,
  ): Promise<string> {
    const roomId = rooms.get(session.userId) ?? (await openRoom(session, bot))
    rooms.delete(session.userId)
    const body = prefix === null ? command : `${prefix} ${command}`
    const commandId = await session.send(
      roomId,
      'm.room.message',
      { msgtype: 'm.text', body },
      timeOrderedId('cmd_'),
    )
    const answer = await untilDefined(PATIENCE_MS, async () =>
      answerTo(commandId, bot, (await session.messagesBackwards(roomId, 20)).events),
    )
    if (answer === undefined) throw silent(PATIENCE_MS)
    rooms.set(session.userId, roomId)
    return answer
  }

  /** A direct chat with the bot, after its greeting. */
  async function openRoom(session: MatrixSession, bot: string): Promise<string> {
    const roomId = await session.createDirectRoom(bot)
    const joined = await untilDefined(PATIENCE_MS, async () =>
      (await session.state(roomId)).find(event => isJoinOf(event, bot)),
    )
    if (joined === undefined) throw silent(PATIENCE_MS)
    await untilDefined(GREETING_PATIENCE_MS, async () =>
      (await session.messagesBackwards(roomId, 20)).events.find(event => isMessageOf(event, bot)),
    )
    return roomId
  }

  function silent(patienceMs: number): GatewayError {
    return new GatewayError(
      'bridge_timeout',
      `the ${platform} bridge's bot didn't answer within ${patienceMs / 1000} s`,
    )
  }

  /** Asks again, less and less often, until there is an answer or the patience is at its end. */
  async function untilDefined<T>(
    patienceMs: number,
    look: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const deadline = clock.now() + patienceMs
    for (let waitMs = FIRST_LOOK_MS; clock.now() < deadline; waitMs = Math.min(waitMs * 2, LONGEST_LOOK_MS)) {
      const found = await look()
      if (found !== undefined) return found
      await clock.sleep(waitMs)
    }
    return undefined
  }

  return {
    run(session, bot, prefix, command) {
      const before = queues.get(session.userId) ?? Promise.resolve()
      const result = before.then(() => runNow(session, bot, prefix, command))
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

function isMessageOf(event: RoomEvent, userId: string): boolean {
  return event.sender === userId && event.type === 'm.room.message'
}

/** @param events newest first */
function answerTo(commandId: string, bot: string, events: RoomEvent[]): string | undefined {
  const commandAt = events.findIndex(event => event.event_id === commandId)
  const since = commandAt === -1 ? [] : events.slice(0, commandAt)
  const texts = since.filter(event => isMessageOf(event, bot)).map(event => event.content.body)
  return texts.findLast((text): text is string => typeof text === 'string' && !GREETING.test(text))
}
