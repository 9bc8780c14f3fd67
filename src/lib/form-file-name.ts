/** File names in multipart forms. */

const DECODED: Record<string, string> = { '%22': '"', '%0D': '\r', '%0A': '\n' }

/**
 * The name of a file as it was before a browser encoded it: three characters, and no others (HTML standard, "Multipart form data"). A line
 * break becomes a space: names go into headers and onto single lines.
 */
export function formFileName(encoded: string): string {
  return encoded
    .replace(/%22|%0D|%0A/gi, code => DECODED[code.toUpperCase()] ?? code)
    .replace(/[\r\n]+/g, ' ')
}
