/** Networks and phones spell an emoji with a mark (U+FE0F) or without; here it has one spelling. */
const MARK = '\ufe0f'
const EMOJI = /^\p{RGI_Emoji}$/v

/** @returns the spelling that Unicode recommends; what is no emoji stays as it is */
export function oneSpelling(emoji: string): string {
  const bare = emoji.replaceAll(MARK, '')
  return [emoji, bare, bare + MARK].find(spelling => EMOJI.test(spelling)) ?? emoji
}
