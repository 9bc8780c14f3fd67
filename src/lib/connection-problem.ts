/**
 * Says in our own words why a request got no answer: the runtime's message may hold the URL, whose
 * query is often a secret, and advice for the programmer.
 */

import { codeOf } from './error-codes.ts'
import { AnswerRefused } from './peer-request.ts'

const CERTIFICATE_INCOMPLETE = 'the certificate is signed by nobody who is known here'
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ECONNABORTED: 'connection reset',
  ETIMEDOUT: 'no connection in time',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the host',
  ENOTFOUND: 'the name of the host could not be resolved',
  EAI_AGAIN: 'the name of the host could not be resolved',
  EPROTO: 'the TLS handshake failed',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is not valid for the host',
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: CERTIFICATE_INCOMPLETE,
  UNABLE_TO_GET_ISSUER_CERT: CERTIFICATE_INCOMPLETE,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: CERTIFICATE_INCOMPLETE,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: CERTIFICATE_INCOMPLETE,
}

/** @param error the failure of a request or a socket */
export function connectionProblem(error: unknown): string {
  if (!(error instanceof Error)) return 'the request failed'
  if (error.name === 'TimeoutError') return 'no answer in time'
  if (error instanceof AnswerRefused) return error.message
  const code = codeOf(error)
  if (Object.hasOwn(WORDS, code)) return WORDS[code] ?? ''
  return /^\w{1,64}$/.test(code) ? `the request failed (${code})` : 'the request failed'
}
