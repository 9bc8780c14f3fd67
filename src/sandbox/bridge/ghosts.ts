/** Ghosts: Matrix users that represent people of the network, created when first needed. */
import { SingleFlight } from '../../lib/single-flight.ts'
import { statementsOf } from '../../lib/statements.ts'
import type { Chat, Media } from '../network/types.ts'
import { type BridgeContext, ghostUserId, remoteIdOf } from './context.ts'

export type Ghosts = ReturnType<typeof createGhosts>

interface Shown {
  name: string
  avatar: string | null
}

export function createGhosts(context: BridgeContext, mxcOf: (media: Media) => Promise<string>) {
  const { committer, database, facts, homeserver, network } = context
  const { one, run } = statementsOf(database)
  const find = one<Shown, [string]>('SELECT name, avatar FROM sandbox_ghost WHERE user_id = ?')
  const put = run<[string, string, string | null]>(
    'INSERT OR REPLACE INTO sandbox_ghost (user_id, name, avatar) VALUES (?, ?, ?)',
  )
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

  async function make(userId: string, phone: string, known: Shown | undefined): Promise<string> {
    const { name, avatarId } = network.store.phone(phone)
    if (!known) await homeserver.register(userId.slice(1, userId.indexOf(':')))
    if (known?.name !== name) await homeserver.setDisplayName(userId, name)
    if (!known) await homeserver.setProfile(userId, profileOf(userId, phone))
    if ((known?.avatar ?? null) !== avatarId) await homeserver.setAvatar(userId, await pictureOf(avatarId))
    await committer.write(() => put(userId, name, avatarId))
    return userId
  }

  async function pictureOf(avatarId: string | null): Promise<string> {
    const media = avatarId === null ? undefined : network.store.media(avatarId)
    return media ? mxcOf(media) : ''
  }

  /** Creates a ghost or gives it its name and picture, if needed. @returns its Matrix user id */
  async function ensureUser(userId: string, phone: string): Promise<string> {
    const { name, avatarId } = network.store.phone(phone)
    const known = find(userId)
    if (known?.name === name && known.avatar === avatarId) return userId
    return underWay.run(userId, () => make(userId, phone, known))
  }

  return {
    /** The same for the ghost of a person in a chat. */
    ensure: (phone: string, chat: Pick<Chat, 'group'>) =>
      ensureUser(ghostUserId(context, phone, chat), phone),
    ensureUser,
    pictureOf,
  }
}
