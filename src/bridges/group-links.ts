/** Groups by invite link, which bridges only support as commands to their bot. */
import { GatewayError } from '../domain/errors.ts'
import type { Bridge } from '../domain/ports.ts'
import { type CommandLine, commandLine } from './bot-commands.ts'
import { commandsIn, isUnknownCommand, joinedIn } from './bot-texts.ts'

export type GroupLinks = Pick<Bridge, 'resolveGroupLink' | 'joinGroup' | 'joinsAsLogin'> & {
  /** Null while unknown. */
  canJoin(): boolean | null
}

/** @param command sends a command to the bridge's bot for a user and returns the answer */
export function createGroupLinks(
  platform: string,
  command: (userId: string, line: CommandLine) => Promise<string>,
): GroupLinks {
  /** The bot's help for `join`; null before asking, undefined when there is no such command. */
  let joinArguments: string | null | undefined = null
  let canResolve = true

  async function learn(userId: string): Promise<string | undefined> {
    if (joinArguments === null) {
      const commands = commandsIn(await command(userId, commandLine('help')))
      // A help that can't be parsed doesn't rule it out.
      joinArguments = commands.size > 0 ? commands.get('join') : ''
      if (commands.size > 0) canResolve = commands.has('resolve-link')
    }
    return joinArguments
  }

  return {
    canJoin: () => (joinArguments === null ? null : joinArguments !== undefined),

    async resolveGroupLink(userId, link) {
      await learn(userId)
      if (!canResolve) return null
      const answer = await command(userId, commandLine('resolve-link', link))
      if (isUnknownCommand(answer)) canResolve = false
      // "That invite link points at NAME (`JID`)"
      return /points at .*\(`([^`]+)`\)/s.exec(answer)?.[1] ?? null
    },

    // mautrix-telegram: "join [login ID] <invite link>"
    joinsAsLogin: async userId => /login/i.test((await learn(userId)) ?? ''),

    async joinGroup(userId, loginId, link) {
      const args = await learn(userId)
      if (args === undefined) throw cannotJoin(platform)
      const answer = await command(
        userId,
        commandLine('join', ...(/login/i.test(args) ? [loginId] : []), link),
      )
      if (isUnknownCommand(answer)) throw cannotJoin(platform)
      const joined = joinedIn(answer)
      if (joined) return joined
      throw new GatewayError('bridge_error', `the ${platform} bridge didn't join the group: ${answer}`)
    },
  }
}

function cannotJoin(platform: string): GatewayError {
  return new GatewayError(
    'not_supported',
    `the ${platform} bridge can't join groups by link: give the group's id, as GET …/groups has it`,
  )
}
