/** Looks senders up in the device's address book, which is kept and fetched anew when it is old. */
import type { Device } from '../../db/schema/index.ts'
import type { Bridges } from '../../domain/ports.ts'
import { type Clock, within } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import type { Contact, PeopleRepository } from './people-repository.ts'

export interface ContactsOptions {
  repository: Pick<PeopleRepository, 'findContact' | 'replaceContacts'>
  bridges: Bridges
  matrixUserOf(identityId: string): Promise<string>
  clock: Clock
  logger: Logger
}

/** A stranger may have been saved since: an older address book is fetched again. */
const FRESH_MS = 15_000
/** A delivery waits no longer than this for the address book. */
const PATIENCE_MS = 1_000

export type Contacts = ReturnType<typeof createContacts>

export function createContacts(options: ContactsOptions) {
  const { repository, bridges, matrixUserOf, clock, logger } = options
  const refreshedAt = new Map<string, number>()
  const refreshing = new SingleFlight()

  async function fetchBook(device: Device): Promise<void> {
    try {
      const userId = await matrixUserOf(device.identityId)
      const book = await bridges.forPlatform(device.platform).contacts(userId, device.loginId)
      const known = book.flatMap(({ matrixUserId, name, phone }) =>
        matrixUserId ? [{ matrixUserId, name, phone }] : [],
      )
      await repository.replaceContacts(device.id, known, clock.now())
    } catch (error) {
      logger.debug({ device: device.id, err: error }, 'the address book could not be fetched')
    }
  }

  /** Fetches the address book. Never rejects: if the bridge has none, the known one stays. */
  function refresh(device: Device): Promise<void> {
    return refreshing.run(device.id, () => {
      refreshedAt.set(device.id, clock.steady())
      return fetchBook(device)
    })
  }

  return {
    refresh,

    /**
     * The sender as the device's address book has it, by Matrix user or phone number; null when it
     * isn't there. The bridge is asked once more about a stranger, at most every few seconds and
     * only as long as a delivery can wait.
     */
    async lookUp(device: Device, matrixUserId: string, phone: string | null): Promise<Contact | null> {
      const known = await repository.findContact(device.id, matrixUserId, phone)
      if (known) return known
      const isFresh = clock.steady() - (refreshedAt.get(device.id) ?? Number.NEGATIVE_INFINITY) < FRESH_MS
      if (isFresh && !refreshing.has(device.id)) return null
      await within(clock, PATIENCE_MS, refresh(device))
      return repository.findContact(device.id, matrixUserId, phone)
    },
  }
}
