/**
 * A text as HTML, for networks that show formatting: its Markdown, and links to the people that it
 * mentions, of which bridges make mentions.
 */
type MarkdownIt = InstanceType<typeof import('markdown-it').default>

/** Matrix users by how they stand in a text: `@4915112345678`. */
export type Mentioned = ReadonlyMap<string, string>

/** @returns how somebody stands in a text that mentions them */
export function mentionOf(contact: string): string {
  return contact.startsWith('@') ? contact : `@${contact}`
}

/** @returns the first of the contacts that the text doesn't mention */
export function notMentioned(text: string, contacts: readonly string[]): string | undefined {
  return contacts.find(contact => !isMentioned(text, contact))
}

export function isMentioned(text: string, contact: string): boolean {
  return patternOf([mentionOf(contact)], 'u').test(text)
}

/** A plain text that mentions people. */
export function htmlOfText(text: string, mentioned: Mentioned): string {
  let html = ''
  let end = 0
  for (const { 0: written, index } of text.matchAll(patternOf([...mentioned.keys()], 'gu'))) {
    html += escaped(text.slice(end, index)) + linkTo(written, mentioned)
    end = index + written.length
  }
  return (html + escaped(text.slice(end))).replaceAll('\n', '<br>')
}

/** HTML in the text stays text, and a picture stays a link: no network shows either. */
export async function htmlOfMarkdown(text: string, mentioned: Mentioned): Promise<string> {
  renderer ??= await newRenderer()
  return renderer.render(text, { mentioned }).trim()
}

/** Loaded late, as most processes never need it. */
let renderer: MarkdownIt | undefined

async function newRenderer(): Promise<MarkdownIt> {
  const { default: Markdown } = await import('markdown-it')
  const made = new Markdown({ html: false, breaks: true }).disable('image')
  made.inline.ruler.push('mention', (state, silent) => {
    const mentioned: Mentioned = Object(state.env).mentioned
    if (state.src[state.pos] !== '@' || mentioned.size === 0) return false
    const pattern = patternOf([...mentioned.keys()], 'uy')
    pattern.lastIndex = state.pos
    const written = pattern.exec(state.src)?.[0]
    if (written === undefined) return false
    if (!silent) state.push('html_inline', '', 0).content = linkTo(written, mentioned)
    state.pos += written.length
    return true
  })
  return made
}

/** The longest comes first, and none is a part of a word or of a longer number. */
function patternOf(mentions: readonly string[], flags: string): RegExp {
  const longestFirst = mentions.toSorted((one, other) => other.length - one.length).map(RegExp.escape)
  return new RegExp(`(?<![\\p{L}\\p{N}])(?:${longestFirst.join('|')})(?![\\p{L}\\p{N}])`, flags)
}

function linkTo(written: string, mentioned: Mentioned): string {
  const user = encodeURIComponent(mentioned.get(written) ?? '')
    .replace('%40', '@')
    .replace('%3A', ':')
  return `<a href="https://matrix.to/#/${user}">${escaped(written)}</a>`
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
