/** Whose an Idempotency-Key is. */

/** Of a send, which may be repeated with another token of the identity. */
export function identityHolder(identityId: string): string {
  return `identity/${identityId}`
}

/** Of whatever else is asked for with a token: the answer may hold that token, or what only its holder was shown. */
export function tokenHolder(tokenId: number): string {
  return `token/${tokenId}`
}

/** Ids of credentials can be used again, by somebody else: whoever deletes one deletes its keys. */
export function credentialHolder(clientId: string): string {
  return `credential/${clientId}`
}
