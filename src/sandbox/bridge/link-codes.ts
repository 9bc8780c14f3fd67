/** Codes that a phone scans or types to link: valid ones, and former ones. */

import { LRUCache } from 'lru-cache'
import type { SandboxPlatform } from '../platforms.ts'

/** A login that waits for a phone. */
export interface PendingLink {
  platformName: string
  platform: SandboxPlatform
  /** The only phone that may link; null: any. */
  phone: string | null
  /** Links the phone. @returns its new names. @throws when the login has ended meanwhile */
  accept(phone: string): Promise<{ loginId: string; name: string }>
}

type LinkCodeState = { state: 'open'; link: PendingLink } | { state: 'expired' | 'used' | 'unknown' }

export type LinkCodes = ReturnType<typeof createLinkCodes>

/** Invalid codes remembered, so that a late scan learns why it fails. */
const REMEMBERED = 2000

export function createLinkCodes() {
  const open = new Map<string, PendingLink>()
  const retired = new LRUCache<string, 'expired' | 'used'>({ max: REMEMBERED })
  return {
    add: (code: string, link: PendingLink): void => void open.set(normal(code), link),
    /** Invalidates a code and records why. */
    retire(code: string, state: 'expired' | 'used'): void {
      if (open.delete(normal(code))) retired.set(normal(code), state)
    },
    find(code: string): LinkCodeState {
      const link = open.get(normal(code))
      return link ? { state: 'open', link } : { state: retired.get(normal(code)) ?? 'unknown' }
    },
  }
}

/** People type codes in any case, with or without the dash. */
function normal(code: string): string {
  return code.replaceAll('-', '').toUpperCase()
}
