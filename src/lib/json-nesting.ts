/** Bounds the nesting of JSON before it is parsed: code that walks it recurses into each level. */

/** Far more levels than any field of our APIs has. */
export const MAX_NESTING = 64

const QUOTE = 0x22
const BACKSLASH = 0x5c
/** `[` and `{` differ in this one bit, and so do `]` and `}`. */
const CASE_BIT = 0x20
const OPENING = 0x7b
const CLOSING = 0x7d

/**
 * Checks in one pass whether lists and objects nest deeper than the limit.
 * @param text JSON, or text that claims to be
 */
export function isNestedTooDeep(text: string, maxLevels = MAX_NESTING): boolean {
  // Each level takes two brackets.
  if (text.length < 2 * (maxLevels + 1)) return false
  let level = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) index = endOfString(text, index)
    else if ((code | CASE_BIT) === OPENING && ++level > maxLevels) return true
    else if ((code | CASE_BIT) === CLOSING) level--
  }
  return false
}

/** @param start the position of the opening quote @returns the position of the closing one */
export function endOfString(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) return index
    if (code === BACKSLASH) index++
  }
  return text.length
}
