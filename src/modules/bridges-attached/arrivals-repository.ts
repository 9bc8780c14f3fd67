/**
 * SQL of where bridges and the homeserver came to last: BRIDGE_PORT, or PORT. Versions before this
 * one only had PORT, and we can't change every configuration. The next version serves nobody there.
 */
import type { Db } from '../../db/open.ts'
import type { Visitor } from '../../domain/signals.ts'
import { replaceSetting, settingOf } from '../tenants/settings-repository.ts'

export type Listener = 'main' | 'bridges'

export interface Arrivals {
  /** Where a visitor came to last; null: it hasn't come yet. */
  find(visitor: Visitor): Promise<Listener | null>
  note(visitor: Visitor, listener: Listener): Promise<void>
  /** How this machine last reached the listener for bridges; null: it was never open. */
  lastUrl(): Promise<string | null>
  noteUrl(url: string): Promise<void>
}

const LAST_URL = 'bridge_listener'

/** The name under which a visitor stands in the settings. */
export function arrivalSetting(visitor: Visitor): string {
  return visitor === 'homeserver' ? 'arrived_homeserver' : `arrived_bridge:${visitor.platform}`
}

export function createArrivals(db: Pick<Db, 'read' | 'write'>): Arrivals {
  const stored = (name: string) => db.read(reader => settingOf(reader, name))
  const replace = (name: string, value: string) => db.write(tx => replaceSetting(tx, name, value))
  return {
    async find(visitor) {
      const value = await stored(arrivalSetting(visitor))
      return value === 'main' || value === 'bridges' ? value : null
    },
    note: (visitor, listener) => replace(arrivalSetting(visitor), listener),
    lastUrl: () => stored(LAST_URL),
    noteUrl: url => replace(LAST_URL, url),
  }
}
