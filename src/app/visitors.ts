/**
 * Notes on which port bridges and the homeserver come to us. This version still serves them at the
 * clients' port, if they show a right token there; everything else is a 404.
 */

import type { Visitor } from '../domain/signals.ts'
import { matrixTokenOf } from '../http/mount-guard.ts'
import type { Mount } from '../http/mounts.ts'
import { matrixRefusal } from '../lib/matrix-error.ts'
import { arrivalSetting, createArrivals, type Listener } from '../modules/bridges-attached/repository.ts'
import type { AppContext } from './context.ts'

export type Visitors = ReturnType<typeof createVisitors>

export function createVisitors(
  { db, signals, logger }: Pick<AppContext, 'db' | 'signals' | 'logger'>,
  /** The bridge or homeserver with this token; undefined: none has it. */
  ownerOf: (token: string) => Visitor | undefined,
) {
  const arrivals = createArrivals(db)
  /** Where each visitor came to last, by name; undefined: it hasn't come yet. */
  const known = new Map<string, Listener | undefined>()
  const announced = new Set<string>()

  /** @returns null without a right token; undefined for one that a bridge got for a user */
  function ownerShown(mount: Mount, request: Request): Visitor | undefined | null {
    const token = matrixTokenOf(request)
    return token !== undefined && mount.isRightToken?.(token, request) ? ownerOf(token) : null
  }

  function note(visitor: Visitor, listener: Listener): void {
    const name = arrivalSetting(visitor)
    if (listener === 'main' && !announced.has(name)) {
      announced.add(name)
      signals.emit('at-main-port', visitor)
    }
    if (!known.has(name) || known.get(name) === listener) return
    known.set(name, listener)
    arrivals.note(visitor, listener).catch(error => {
      // It is noted again after the next start.
      logger.warn({ err: error }, 'it could not be noted where a bridge or the homeserver comes to')
    })
  }

  return {
    /** The mounts for the listener for bridges. */
    atBridgePort: (mounts: readonly Mount[]): Mount[] =>
      mounts.map(mount => ({
        ...mount,
        fetch(request) {
          // Looking at the token twice is only worth it while it can change something.
          const isNews = [...known.values()].some(listener => listener !== 'bridges')
          const visitor = isNews ? ownerShown(mount, request) : null
          if (visitor) note(visitor, 'bridges')
          return mount.fetch(request)
        },
      })),

    /** The mounts for the clients' port. */
    atMainPort: (mounts: readonly Mount[]): Mount[] =>
      mounts.map(mount => ({
        ...mount,
        anyHost: true,
        isOpen: () => known.size > 0,
        fetch(request) {
          const visitor = ownerShown(mount, request)
          if (visitor === null)
            return matrixRefusal(404, 'M_UNRECOGNIZED', 'Bridges and homeservers are served at BRIDGE_PORT')
          if (visitor) note(visitor, 'main')
          return mount.fetch(request)
        },
      })),

    /** Sets who may come, and reads where each came to last. */
    async expect(visitors: readonly Visitor[]): Promise<void> {
      const names = new Set(visitors.map(arrivalSetting))
      for (const name of known.keys()) if (!names.has(name)) known.delete(name)
      for (const visitor of visitors) {
        const name = arrivalSetting(visitor)
        if (!known.has(name)) known.set(name, (await arrivals.find(visitor)) ?? undefined)
      }
    },
  }
}
