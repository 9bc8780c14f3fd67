/** How deep JSON is nested, told before it is parsed: what walks the parsed value does so by recursion, and takes long over thousands of levels. */

/** No field of the API has more than a few levels; a message's own data may have some more. */
export const MAX_NESTING = 64

const QUOTE = 0x22
const BACKSLASH = 0x5c
/** `[` and `{`, and `]` and `}`, are each one bit apart. */
const CASE_BIT = 0x20
const OPENING = 0x7b
const CLOSING = 0x7d

/**
 * Whether lists and objects are nested beyond the limit. It takes one pass over the text, and none over one that is too short for it.
 * @param text of JSON, or what claims to be
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

/** @param start where its opening quote is */
function endOfString(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) return index
    if (code === BACKSLASH) index++
  }
  return text.length
}
