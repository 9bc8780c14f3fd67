/** Cuts the text of an error answer, which may repeat the client's input. */

/** Far longer than any sentence of ours: a longer one repeats input. */
const MAX_CHARACTERS = 1_000

export function errorText(message: string): string {
  if (message.length <= MAX_CHARACTERS) return message
  return `${message.slice(0, MAX_CHARACTERS).toWellFormed()}…`
}
