/** Cuts the text of an error answer, which may repeat what was given. */

/** Far more than any of our sentences: what is longer says somebody's input again. */
const MAX_CHARACTERS = 1_000

/** The message, cut when it is very long. */
export function errorText(message: string): string {
  if (message.length <= MAX_CHARACTERS) return message
  return `${message.slice(0, MAX_CHARACTERS).toWellFormed()}…`
}
