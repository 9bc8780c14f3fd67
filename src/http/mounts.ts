/**
 * Parts that speak HTTP by themselves (homeserver, sandbox, pages): their requests pass through
 * untouched, bodies unread.
 */
import { pathStart } from './request-path.ts'

export interface Mount {
  /** A path without a trailing slash: it and everything below it. */
  prefix: string
  fetch(request: Request): Promise<Response> | Response
  /**
   * It lets in whoever can reach it, so a page of another origin must not make a browser change
   * anything there. Another port of this machine is another origin, though browsers call it the
   * same site.
   */
  onlyOwnPages?: boolean
  /** False while it isn't served; by default it always is. */
  isOpen?(): boolean
  /** Serves any Host, as it lets nobody in without a token. */
  anyHost?: boolean
  /**
   * Tells if a token is right, so that guesses are slowed down. The mount looks at the token itself
   * all the same.
   */
  isRightToken?: ((token: string, request: Request) => boolean) | undefined
}

/** @returns the mount a URL belongs to: of several, the one with the longest prefix */
export function createMountTable(mounts: readonly Mount[]): (url: string) => Mount | undefined {
  const longestFirst = mounts.toSorted((a, b) => b.prefix.length - a.prefix.length)
  return url => {
    const start = pathStart(url)
    return longestFirst.find(({ prefix, isOpen }) => {
      if (isOpen?.() === false || !url.startsWith(prefix, start)) return false
      const next = url.charAt(start + prefix.length)
      return next === '' || next === '/' || next === '?'
    })
  }
}
