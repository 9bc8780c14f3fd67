/** Ghosts: Matrix users that represent people of the network, created when first needed. */
import { SingleFlight } from '../../lib/single-flight.ts'
import { statementsOf } from '../../lib/statements.ts'
import type { Chat } from '../network/types.ts'
import { type BridgeContext, ghostUserId, remoteIdOf } from './context.ts'

export type Ghosts = ReturnType<typeof createGhosts>

export function createGhosts(context: BridgeContext) {
  const { committer, database, facts, homeserver, network } = context
  const { value, run } = statementsOf(database)
  const find = value<string, [string]>('SELECT name FROM sandbox_ghost WHERE user_id = ?')
  const put = run<[string, string]>('INSERT OR REPLACE INTO sandbox_ghost (user_id, name) VALUES (?, ?)')
  const underWay = new SingleFlight<string>()

  /** As bridgev2 does with `phone_numbers_in_profile`. */
  function profileOf(userId: string, phone: string) {
    return {
      'com.beeper.bridge.identifiers': [`tel:+${phone}`],
      'com.beeper.bridge.remote_id': remoteIdOf(context, userId),
      'com.beeper.bridge.service': facts.networkId,
      'com.beeper.bridge.network': facts.networkId,
      'com.beeper.bridge.is_network_bot': false,
    }
  }

  async function make(userId: string, phone: string, name: string, exists: boolean): Promise<string> {
    if (!exists) await homeserver.register(userId.slice(1, userId.indexOf(':')))
    await homeserver.setDisplayName(userId, name)
    await homeserver.setProfile(userId, profileOf(userId, phone))
    await committer.write(() => put(userId, name))
    return userId
  }

  /** Creates or renames a ghost, if needed. @returns its Matrix user id */
  async function ensureUser(userId: string, phone: string): Promise<string> {
    const { name } = network.store.phone(phone)
    const known = find(userId)
    if (known === name) return userId
    return underWay.run(userId, () => make(userId, phone, name, known !== undefined))
  }

  return {
    /** The same for the ghost of a person in a chat. */
    ensure: (phone: string, chat: Pick<Chat, 'group'>) =>
      ensureUser(ghostUserId(context, phone, chat), phone),
    ensureUser,
  }
}
