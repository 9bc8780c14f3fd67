/**
 * How a bridge names the Matrix users that stand for people of its network ("ghosts"). The operator
 * chooses the template (bridgev2's `username_template`): we learn it from a ghost whose id we know.
 */

/** The texts before and after a person's id in the localpart of their ghost. */
export interface GhostNaming {
  prefix: string
  suffix: string
}

/** @returns null when the ghost isn't named after this id */
export function ghostNamingFrom(ghostUserId: string, remoteId: string): GhostNaming | null {
  const localpart = localpartOf(ghostUserId)
  const encoded = encodeLocalpart(remoteId)
  if (localpart === null || encoded === '') return null
  const at = localpart.lastIndexOf(encoded)
  return at === -1 ? null : { prefix: localpart.slice(0, at), suffix: localpart.slice(at + encoded.length) }
}

/**
 * The id on the network of whom the ghost stands for; null when it is no ghost named so.
 * @param naming null while it isn't known: then mautrix' default is supposed, `<network>_<id>`
 */
export function remoteIdOf(userId: string, naming: GhostNaming | null): string | null {
  const localpart = localpartOf(userId)
  if (localpart === null) return null
  const { prefix, suffix } = naming ?? { prefix: /^[^_]+_/.exec(localpart)?.[0] ?? null, suffix: '' }
  if (prefix === null || !localpart.startsWith(prefix) || !localpart.endsWith(suffix)) return null
  const encoded = localpart.slice(prefix.length, localpart.length - suffix.length)
  return encoded === '' ? null : decodeLocalpart(encoded)
}

/**
 * The Matrix user for `otherId`, named in the way that `ghostUserId` is named for `itsId`; null
 * when that isn't named after it.
 */
export function ghostLike(ghostUserId: string, itsId: string, otherId: string): string | null {
  const naming = ghostNamingFrom(ghostUserId, itsId)
  if (naming === null) return null
  const server = ghostUserId.slice(ghostUserId.indexOf(':'))
  return `@${naming.prefix}${encodeLocalpart(otherId)}${naming.suffix}${server}`
}

/** Matrix specification, appendices, "Mapping from other character sets". */
export function encodeLocalpart(text: string): string {
  return [...new TextEncoder().encode(text)].map(encodedByte).join('')
}

/** @returns null when it isn't in that encoding */
export function decodeLocalpart(localpart: string): string | null {
  const bytes: number[] = []
  for (let at = 0; at < localpart.length; at++) {
    const character = localpart.charAt(at)
    if (character === '_') {
      const next = localpart.charAt(++at)
      if (!/^[a-z_]$/.test(next)) return null
      bytes.push(next.toUpperCase().charCodeAt(0))
    } else if (character === '=') {
      const hex = localpart.slice(at + 1, at + 3)
      if (!/^[0-9a-f]{2}$/i.test(hex)) return null
      bytes.push(Number.parseInt(hex, 16))
      at += 2
    } else {
      bytes.push(...new TextEncoder().encode(character))
    }
  }
  return new TextDecoder().decode(new Uint8Array(bytes))
}

function encodedByte(byte: number): string {
  const character = String.fromCharCode(byte)
  if (/[a-z0-9.+-]/.test(character)) return character
  if (/[A-Z_]/.test(character)) return `_${character.toLowerCase()}`
  return `=${byte.toString(16).padStart(2, '0')}`
}

function localpartOf(userId: string): string | null {
  return /^@([^:]+):/.exec(userId)?.[1] ?? null
}
