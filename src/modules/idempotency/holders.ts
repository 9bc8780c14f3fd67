/** Whose an Idempotency-Key is. */

/** Holds keys of sends, which may be repeated with another token of the identity. */
export function keysOfIdentity(identityId: string): string {
  return `identity/${identityId}`
}

/** Holds other keys of a token: an answer may hold secrets that only this token's holder saw. */
export function keysOfToken(tokenId: number): string {
  return `token/${tokenId}`
}

/** Ids of credentials can be used again, by somebody else: whoever deletes one deletes its keys. */
export function keysOfCredential(clientId: string): string {
  return `credential/${clientId}`
}
