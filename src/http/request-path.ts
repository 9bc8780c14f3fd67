/** Paths of request URLs, without taking the URL apart. */

/** Where a URL's path begins: at the third slash, or at once when the request named no host. */
export function pathStart(url: string): number {
  if (url.startsWith('/')) return 0
  const start = url.indexOf('/', url.indexOf('//') + 2)
  return start === -1 ? url.length : start
}

/** Without the query. */
export function pathOf(url: string): string {
  const query = url.indexOf('?')
  return url.slice(pathStart(url), query === -1 ? undefined : query)
}
