/** Reads the body of a request that may be longer than it should be. */

/** @returns null when it is longer; no more than the limit is then in memory. @throws when the client breaks off */
export async function readTextAtMost(request: Request, maxBytes: number): Promise<string | null> {
  const declared = request.headers.get('content-length')
  if (declared !== null) return Number(declared) > maxBytes ? null : request.text()
  if (!request.body) return ''
  // A chunked body doesn't say how long it is.
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body) {
    length += chunk.length
    if (length > maxBytes) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
