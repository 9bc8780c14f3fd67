/** Codes that a phone can scan or type to link: which are good, and which have been. */

/** A login that waits for a phone. */
export interface PendingLink {
  platformName: string
  platform: string
  /** The only phone that may link with it; null when it is open which. */
  phone: string | null
  /** Links the phone. @returns what it is called now @throws when the login ended meanwhile */
  accept(phone: string): Promise<{ loginId: string; name: string }>
}

type LinkCodeState = { state: 'open'; link: PendingLink } | { state: 'expired' | 'used' | 'unknown' }

export interface LinkCodes {
  add(code: string, link: PendingLink): void
  /** Says why a code is good no more. */
  retire(code: string, state: 'expired' | 'used'): void
  find(code: string): LinkCodeState
}

/** How many codes are remembered that are good no more, so that a late scan learns why it fails. */
const REMEMBERED = 2000

export function createLinkCodes(): LinkCodes {
  const open = new Map<string, PendingLink>()
  const retired = new Map<string, 'expired' | 'used'>()
  return {
    add: (code, link) => void open.set(normal(code), link),
    retire(code, state) {
      if (!open.delete(normal(code))) return
      retired.set(normal(code), state)
      const [oldest] = retired.keys()
      if (retired.size > REMEMBERED && oldest !== undefined) retired.delete(oldest)
    },
    find(code) {
      const link = open.get(normal(code))
      return link ? { state: 'open', link } : { state: retired.get(normal(code)) ?? 'unknown' }
    },
  }
}

/** People type codes in any case, with or without the dash. */
function normal(code: string): string {
  return code.replaceAll('-', '').toUpperCase()
}
