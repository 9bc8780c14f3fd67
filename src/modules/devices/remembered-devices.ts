/**
 * Remembers devices for a few seconds: every send asks for them, and they hardly ever change. Our
 * own changes are seen at once, those of another process after these seconds.
 */
import type { Device } from '../../db/schema/index.ts'
import type { Clock } from '../../lib/clock.ts'
import type { DeviceRepository } from './device-repository.ts'

const REMEMBERED_MS = 2_000
/** Beyond this many everything is forgotten. */
const MAX_ENTRIES = 10_000

export function rememberDevices(repository: DeviceRepository, clock: Clock): DeviceRepository {
  let lists = new Map<string, Device[]>()
  let rows = new Map<string, Device | null>()
  let until = 0

  function forget(): void {
    lists = new Map()
    rows = new Map()
    until = clock.steady() + REMEMBERED_MS
  }

  function forgetWhatIsOld(): void {
    if (clock.steady() >= until || lists.size + rows.size > MAX_ENTRIES) forget()
  }

  async function forgettingAfter<T>(write: Promise<T>): Promise<T> {
    try {
      return await write
    } finally {
      forget()
    }
  }

  return {
    ...repository,
    async listAll(identityId) {
      forgetWhatIsOld()
      const known = lists.get(identityId)
      if (known) return known
      const into = lists
      const found = await repository.listAll(identityId)
      // A change meanwhile has put a new map in its place.
      into.set(identityId, found)
      return found
    },
    async get(id) {
      forgetWhatIsOld()
      const known = rows.get(id)
      if (known !== undefined) return known
      const into = rows
      const found = await repository.get(id)
      into.set(id, found)
      return found
    },
    adopt: (...input) => forgettingAfter(repository.adopt(...input)),
    setState: (...input) => forgettingAfter(repository.setState(...input)),
    discardQueues: (...input) => forgettingAfter(repository.discardQueues(...input)),
    rename: (...input) => forgettingAfter(repository.rename(...input)),
    remove: (...input) => forgettingAfter(repository.remove(...input)),
    setGhost: (...input) => forgettingAfter(repository.setGhost(...input)),
  }
}
