/** Runs commands that a bridge's bot answers with one notice, one at a time, in their own room. */

import { GatewayError } from '../domain/errors.ts'
import type { MatrixSession } from '../domain/ports.ts'
import { hasBlanks } from '../domain/written-recipients.ts'
import type { Clock } from '../lib/clock.ts'
import { KeyedMutex } from '../lib/keyed-mutex.ts'
import { type BotRoom, isSaidBy, openBotRoom, silent, untilDefined } from './bot-room.ts'
import { textOf } from './bot-texts.ts'

/** How long a bot may take to answer a command, in milliseconds. */
const PATIENCE_MS = 30_000

/** A command with its arguments, made only by `commandLine`. */
export type CommandLine = string & { readonly isCommandLine: true }

/**
 * Arguments come from clients and a bot splits at white space, so each argument must be one word.
 * @throws GatewayError bad_request when an argument isn't one word
 */
export function commandLine(name: string, ...words: string[]): CommandLine {
  const wrong = words.find(word => word === '' || hasBlanks(word))
  if (wrong === undefined) return [name, ...words].join(' ') as CommandLine
  throw new GatewayError(
    'bad_request',
    `${JSON.stringify(wrong)}: expected no white space or control characters, which would become words of the bridge's command ${name}`,
  )
}

/**
 * Sends a command to the bot for a user and returns the answer.
 * @param withinMs time limit for everything
 */
export type BotCommand = (userId: string, line: CommandLine, withinMs?: number) => Promise<string>

/** Sends commands to the platform's bot. */
export function createBotCommands(platform: string, clock: Clock) {
  /** By user id; missing while a command waits for its answer. */
  const rooms = new Map<string, BotRoom>()
  const mutex = new KeyedMutex()

  return {
    /**
     * Sends one command and waits for the bot's answer. No answer names its command, so a user's
     * commands run one after the other. After an unanswered one the next uses a new room, where no
     * late answer can be mistaken for its own.
     * @param prefix that marks a command in any room, such as `!wa`; null: learned from the bot
     * @param withinMs time limit for everything; the command then skips the queue, in its own room
     * if need be
     * @returns the text of the answer, in Markdown
     * @throws GatewayError bridge_timeout when the bot stays silent
     */
    run(session: MatrixSession, bot: string, prefix: string | null, command: CommandLine, withinMs?: number) {
      const ask = async (): Promise<string> => {
        const begunAt = clock.steady()
        const known = rooms.get(session.userId)
        rooms.delete(session.userId)
        const room = known ?? (await openBotRoom({ platform, clock }, session, bot, prefix, withinMs))
        const commandId = await room.say(command)
        const patienceMs = withinMs === undefined ? PATIENCE_MS : withinMs - (clock.steady() - begunAt)
        const answer = await untilDefined(clock, patienceMs, async () => {
          const said = (await room.after(commandId)).find(event => isSaidBy(bot, event))
          return said && textOf(said.content)
        })
        if (answer === undefined) throw silent(platform, withinMs ?? PATIENCE_MS)
        rooms.set(session.userId, room)
        return answer
      }
      return withinMs === undefined ? mutex.run(session.userId, ask) : ask()
    },
  }
}
