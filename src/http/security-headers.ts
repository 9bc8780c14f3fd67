/**
 * Headers that keep browsers from doing anything unintended with an answer (owasp.org, "HTTP
 * Security Response Headers").
 */

/** Pages that need scripts, and files that may be kept or shown elsewhere, say so themselves. */
const HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
}
/** RFC 6797: a year of nothing but TLS. */
const TRANSPORT = { 'Strict-Transport-Security': 'max-age=31536000' }

/** @param isSecure whether clients reach us by TLS, our own or a proxy's */
export function securityHeaders(isSecure: boolean): Record<string, string> {
  return isSecure ? { ...HEADERS, ...TRANSPORT } : { ...HEADERS }
}

/** Adds those that the answer doesn't set itself. */
export function addMissing(response: Response, headers: Record<string, string>): Response {
  for (const [name, value] of Object.entries(headers)) {
    if (!response.headers.has(name)) response.headers.set(name, value)
  }
  return response
}
