/**
 * Bridges and the homeserver, as they come to us: at the listener for bridges, and for this version at the clients' port, too. There
 * only who shows a right token is served: all else is a 404.
 */
import { matrixTokenOf } from '../http/mount-guard.ts'
import type { Mount } from '../http/mounts.ts'
import type { Logger } from '../lib/logger.ts'
import {
  type Arrivals,
  arrivalSetting,
  type Listener,
  type Visitor,
} from '../modules/attached-bridges/arrivals-repository.ts'

export interface Visitors {
  /** What is there for them, for the listener for bridges. */
  atBridgePort(mounts: readonly Mount[]): Mount[]
  /** The same for the clients' port. */
  atMainPort(mounts: readonly Mount[]): Mount[]
  /** Whom to expect: reads where they came to last. */
  expect(visitors: readonly Visitor[]): Promise<void>
}

export function createVisitors(options: {
  arrivals: Arrivals
  /** Whose own token it is; undefined: none's of them. */
  ownerOf(token: string): Visitor | undefined
  /** It still comes to the clients' port. Called once for each in the life of the process. */
  onAtMainPort(visitor: Visitor): void
  logger: Logger
}): Visitors {
  const { arrivals, ownerOf, onAtMainPort, logger } = options
  /** Where the expected come to, by name; undefined: they haven't come yet. */
  const known = new Map<string, Listener | undefined>()
  const told = new Set<string>()

  /** @returns null without a right token; undefined for one that a bridge got for a user */
  function ownerShown(mount: Mount, request: Request): Visitor | undefined | null {
    const token = matrixTokenOf(request)
    return token !== undefined && mount.isRightToken?.(token, request) ? ownerOf(token) : null
  }

  function note(visitor: Visitor, listener: Listener): void {
    const name = arrivalSetting(visitor)
    if (listener === 'main' && !told.has(name)) {
      told.add(name)
      onAtMainPort(visitor)
    }
    if (!known.has(name) || known.get(name) === listener) return
    known.set(name, listener)
    arrivals.note(visitor, listener).catch(error => {
      // It is noted when it next comes, after a start.
      logger.warn({ err: error }, 'it could not be noted where a bridge or the homeserver comes to')
    })
  }

  return {
    atBridgePort: mounts =>
      mounts.map(mount => ({
        ...mount,
        fetch(request) {
          // Most requests tell nothing new, and needn't be looked at.
          const isNews = [...known.values()].some(listener => listener !== 'bridges')
          const visitor = isNews ? ownerShown(mount, request) : null
          if (visitor) note(visitor, 'bridges')
          return mount.fetch(request)
        },
      })),

    atMainPort: mounts =>
      mounts.map(mount => ({
        ...mount,
        anyHost: true,
        isOpen: () => known.size > 0,
        fetch(request) {
          const visitor = ownerShown(mount, request)
          if (visitor === null) return nothingHere()
          if (visitor) note(visitor, 'main')
          return mount.fetch(request)
        },
      })),

    async expect(visitors) {
      const names = new Set(visitors.map(arrivalSetting))
      for (const name of known.keys()) if (!names.has(name)) known.delete(name)
      for (const visitor of visitors) {
        const name = arrivalSetting(visitor)
        if (!known.has(name)) known.set(name, (await arrivals.find(visitor)) ?? undefined)
      }
    },
  }
}

/** In the words of Matrix, which is what is spoken here. */
function nothingHere(): Response {
  return Response.json(
    { errcode: 'M_UNRECOGNIZED', error: 'Bridges and homeservers are served at BRIDGE_PORT' },
    { status: 404 },
  )
}
