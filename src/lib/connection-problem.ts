/** Why a request got no answer, in a few words for people. */

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused: nothing listens there',
  ECONNRESET: 'the connection was cut off',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the name of the host can’t be looked up',
  EHOSTUNREACH: 'no way to the host',
  ENETUNREACH: 'no way to the host',
}

/** @param error that `fetch` threw */
export function connectionProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return 'no answer in time'
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return WORDS[code] ?? error.message
}
