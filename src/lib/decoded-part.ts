/** @returns the text of a part of a URL; null when it isn't percent-encoded UTF-8 */
export function decodedPart(part: string): string | null {
  try {
    return decodeURIComponent(part)
  } catch {
    return null
  }
}
