/** Splits a command line into words as a shell does: at blanks, except in quotes or after `\`. */

/** @throws Error when a quote isn't closed */
export function commandWords(line: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at)
    if (quote === undefined && /\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (quote === undefined && (char === '"' || char === "'")) {
      quote = char
      word ??= ''
    } else if (char === quote) {
      quote = undefined
    } else if (char === '\\' && quote !== "'" && at + 1 < line.length) {
      word = (word ?? '') + line.charAt(++at)
    } else {
      word = (word ?? '') + char
    }
  }
  if (quote !== undefined) throw new Error(`the quote ${quote} isn't closed`)
  if (word !== undefined) words.push(word)
  return words
}
