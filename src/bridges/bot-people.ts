/** Looks people up by commands to a bridge's bot. */
import { GatewayError } from '../domain/errors.ts'
import type { Bridge, BridgeContact } from '../domain/ports.ts'
import { type BotCommand, commandLine } from './bot-commands.ts'
import { contactIn, contactsIn, isUnknownCommand, saysNobody } from './bot-texts.ts'

type BotPeople = Pick<
  Bridge,
  'contacts' | 'search' | 'resolveIdentifier' | 'createDirectChat' | 'createGroup' | 'fetchOlder'
>

export function createBotPeople(platform: string, command: BotCommand): BotPeople {
  const unsupported = (what: string) => new GatewayError('not_supported', `the ${platform} bridge${what}`)

  /** Parses a bot's answer about a person. */
  function personIn(answer: string, identifier: string): BridgeContact {
    const contact = /^(Found|Created|You already have)\b/i.test(answer) ? contactIn(answer) : null
    if (contact) return contact
    if (isUnknownCommand(answer)) throw unsupported("'s bot can't look anybody up")
    const code = saysNobody(answer) ? 'not_found' : 'bridge_error'
    throw new GatewayError(code, `the ${platform} bridge's bot about ${identifier}: ${answer}`)
  }

  return {
    async contacts() {
      throw unsupported(' has no provisioning API to list contacts with')
    },

    async createGroup() {
      throw unsupported(' has no provisioning API to make groups with')
    },

    async fetchOlder() {
      throw unsupported(' has no provisioning API to fetch older messages with')
    },

    async search(userId, loginId, query) {
      const answer = await command(userId, commandLine('search', loginId, ...query.trim().split(/\s+/)))
      if (isUnknownCommand(answer) || /does not support/i.test(answer))
        throw unsupported("'s bot can't search")
      if (/^Failed to/i.test(answer))
        throw new GatewayError('bridge_error', `the ${platform} bridge's bot: ${answer}`)
      return contactsIn(answer)
    },

    async resolveIdentifier(userId, loginId, identifier) {
      const line = commandLine('resolve-identifier', loginId, identifier)
      return personIn(await command(userId, line), identifier)
    },

    async createDirectChat(userId, loginId, identifier) {
      const started = await command(userId, commandLine('start-chat', loginId, identifier))
      // Bridges before bridgev2, with one login per user.
      const isOld = isUnknownCommand(started)
      const answer = isOld ? await command(userId, commandLine('pm', identifier)) : started
      const contact = personIn(answer, identifier)
      if (contact.roomId) return { roomId: contact.roomId, contact }
      const problem = `the ${platform} bridge's bot made no chat with ${identifier}: ${started}`
      throw new GatewayError('bridge_error', problem)
    },
  }
}
