/** Positions in a list for the API: opaque to clients, and valid however the list changes. */

type Part = string | number

/** @param parts the sort keys of a page's last entry */
export function encodePlace(parts: readonly Part[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/**
 * @param example a position of the same list: as many parts, of the same types
 * @returns null when the text is no position of such a list
 */
export function decodePlace<const Parts extends readonly Part[]>(
  text: string,
  example: Parts,
): { [Index in keyof Parts]: Parts[Index] extends string ? string : number } | null {
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    const fits =
      Array.isArray(parts) &&
      parts.length === example.length &&
      parts.every((part, index) => typeof part === typeof example[index])
    return fits ? (parts as never) : null
  } catch {
    return null
  }
}
