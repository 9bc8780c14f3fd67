/**
 * Terms of the full-text index: each word of a text, begun by its identity. So a search, also for
 * the beginning of a word, reads nothing of what others say.
 */

/** Written without blanks between words: each character is a term, and a word is a phrase. */
const UNSPACED = String.raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}`
const TERM = new RegExp(String.raw`[${UNSPACED}]|[[\p{L}\p{N}\p{Co}]--[${UNSPACED}]]+`, 'gv')

/** @returns terms in the order of the text; marks on letters, such as accents, don't count */
export function termsOf(identityId: string, text: string): string[] {
  const owner = hashed('i', identityId)
  const folded = text.normalize('NFKD').replace(/\p{M}+/gu, '')
  return (folded.match(TERM) ?? []).map(word => `${owner}${word}`)
}

/** The chat is a term of its own. */
export function roomTerm(roomId: string): string {
  return hashed('r', roomId)
}

/**
 * @param words each with a letter or digit; the last may be the beginning of one
 * @param rooms those of a chat; null: all
 * @returns a query of FTS5 in which nothing of the words is syntax
 */
export function matchOf(
  identityId: string,
  words: readonly string[],
  rooms: readonly string[] | null,
): string {
  const phrases = words.map((word, index) => {
    const phrase = termsOf(identityId, word).join(' ')
    return `"${phrase}"${index === words.length - 1 ? ' *' : ''}`
  })
  const chat = rooms === null ? '' : `scope : (${rooms.map(room => `"${roomTerm(room)}"`).join(' OR ')}) AND `
  return `${chat}text : (${phrases.join(' AND ')})`
}

/** One word, whatever the id has in it. Two ids may share one, so rows are looked at as well. */
function hashed(kind: 'i' | 'r', id: string): string {
  return `${kind}${Bun.hash(id).toString(36)}`
}
