/** Groups by invite link, which bridges only support as commands to their bot. */
import { GatewayError } from '../domain/errors.ts'
import type { Bridge } from '../domain/ports.ts'
import { type BotCommand, commandLine } from './bot-commands.ts'
import type { BotHelp, Help } from './bot-help.ts'
import { isUnknownCommand, joinedIn } from './bot-texts.ts'

export type GroupLinks = Pick<Bridge, 'resolveGroupLink' | 'joinGroup' | 'joinsAsLogin'>

export function createGroupLinks(platform: string, command: BotCommand, help: BotHelp): GroupLinks {
  let canResolve = true

  const joinArguments = async (userId: string) => joinArgumentsIn(await help.read(userId))

  return {
    async resolveGroupLink(userId, link) {
      const { commands } = await help.read(userId)
      if (!canResolve || (commands.size > 0 && !commands.has('resolve-link'))) return null
      const answer = await command(userId, commandLine('resolve-link', link))
      if (isUnknownCommand(answer)) canResolve = false
      // "That invite link points at NAME (`JID`)"
      return /points at .*\(`([^`]+)`\)/s.exec(answer)?.[1] ?? null
    },

    // mautrix-telegram: "join [login ID] <invite link>"
    joinsAsLogin: async userId => /login/i.test((await joinArguments(userId)) ?? ''),

    async joinGroup(userId, loginId, link) {
      const args = await joinArguments(userId)
      if (args === undefined) throw cannotJoin(platform)
      const line = commandLine('join', ...(/login/i.test(args) ? [loginId] : []), link)
      const answer = await command(userId, line)
      if (isUnknownCommand(answer)) throw cannotJoin(platform)
      const joined = joinedIn(answer)
      if (joined) return joined
      throw new GatewayError('bridge_error', `the ${platform} bridge didn't join the group: ${answer}`)
    },
  }
}

/** @returns null while unknown, before the bot was asked for its help */
export function canJoinGroups({ last }: BotHelp): boolean | null {
  return last && joinArgumentsIn(last) !== undefined
}

/** @returns undefined without such a command; a help that can't be parsed doesn't rule it out */
function joinArgumentsIn({ commands }: Help): string | undefined {
  return commands.size > 0 ? commands.get('join') : ''
}

function cannotJoin(platform: string): GatewayError {
  return new GatewayError(
    'not_supported',
    `the ${platform} bridge can't join groups by link: give the group's id, as GET …/groups has it`,
  )
}
