/**
 * Formatting, both ways: a room has HTML. WhatsApp has marks in its text, such as `*bold*`; other
 * networks keep the text plain and its formatting beside it, for which the HTML stands here.
 */
import type { Message } from '../network/types.ts'
import type { SandboxPlatform } from '../platforms.ts'

/** Where a text is written: it decides the marks, and who a number is there. */
export interface Writing {
  platform: SandboxPlatform
  mentioned(phone: string): { userId: string; name: string }
}

interface Element {
  tag: string
  attributes: string
  text: string
  /** Items so far; lists only. */
  count: number
}

type Marks = Readonly<Record<string, string>>

const BOLD = Object.fromEntries(['b', 'strong', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map(tag => [tag, '*']))
const WA_MARKS: Marks = { ...BOLD, i: '_', em: '_', s: '~', del: '~', strike: '~', code: '`', pre: '```' }
const BLOCKS = ['p', 'div', 'ul', 'ol', 'blockquote', 'pre', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6']
/** Elements that hold blocks; the empty name is the text itself. */
const HOLDERS = ['', 'div', 'ul', 'ol', 'blockquote']
const TOKENS = /<(\/?)([a-z][a-z\d]*)([^>]*)>|[^<]+|</gi

/**
 * @param nameOf what stands in the text for a Matrix user; null: the link's own text
 * @returns the HTML as the network's text
 */
export function textOfHtml(
  html: string,
  platform: SandboxPlatform,
  nameOf: (userId: string) => string | null,
): string {
  const marks = platform === 'wa' ? WA_MARKS : {}
  const root: Element = { tag: '', attributes: '', text: '', count: 0 }
  const open = [root]
  const top = () => open.at(-1) ?? root
  const close = () => {
    const element = open.pop() ?? root
    top().text += shown(element, top(), marks, nameOf)
  }
  for (const [token, slash, name, attributes = ''] of html.matchAll(TOKENS)) {
    const tag = name?.toLowerCase()
    if (tag === undefined) top().text += unescaped(textIn(token, open))
    else if (tag === 'br') top().text += '\n'
    else if (slash === '') open.push({ tag, attributes, text: '', count: 0 })
    else if (open.some(element => element.tag === tag)) {
      while (top().tag !== tag) close()
      close()
    }
  }
  while (open.length > 1) close()
  return root.text.replace(/\n{3,}/g, '\n\n').trim()
}

/** A line's end in HTML is a blank, and none between blocks and after a break. */
function textIn(token: string, open: readonly Element[]): string {
  if (open.some(({ tag }) => tag === 'pre')) return token
  const parent = open.at(-1)?.tag ?? ''
  if (/^\s*\n\s*$/.test(token) && HOLDERS.includes(parent)) return ''
  const text = token.replace(/\s*\n\s*/g, ' ')
  return open.at(-1)?.text.endsWith('\n') ? text.trimStart() : text
}

function shown(
  { tag, attributes, text }: Element,
  parent: Element,
  marks: Marks,
  nameOf: (userId: string) => string | null,
): string {
  // A quoted message, as older clients repeat it: <mx-reply>.
  if (tag === 'mx') return ''
  if (tag === 'a') return linkText(attributes, text, nameOf)
  if (tag === 'li') return `${parent.tag === 'ol' ? `${++parent.count}.` : '-'} ${text.trim()}\n`
  if (tag === 'blockquote') return `${text.trim().replace(/^/gm, '> ')}\n\n`
  const isCodeOfBlock = tag === 'code' && parent.tag === 'pre'
  const mark = (!isCodeOfBlock && marks[tag]) || ''
  const inner = BLOCKS.includes(tag) ? text.trim() : text
  const marked = inner === '' ? '' : `${mark}${inner}${mark}`
  return BLOCKS.includes(tag) ? `${marked}\n\n` : marked
}

function linkText(attributes: string, text: string, nameOf: (userId: string) => string | null): string {
  const href = unescaped(/href\s*=\s*"([^"]*)"/i.exec(attributes)?.[1] ?? '')
  const userId = userIdOf(href)
  if (userId !== null) return nameOf(userId) ?? text
  return href === '' || href === text ? text : `${text} (${href})`
}

/** @returns the user of a matrix.to link, null for other links */
function userIdOf(href: string): string | null {
  const [, id] = /^https:\/\/matrix\.to\/#\/([^?]+)/.exec(href) ?? []
  try {
    const userId = decodeURIComponent(id ?? '')
    return userId.startsWith('@') ? userId : null
  } catch {
    return null
  }
}

/** @returns Matrix users that the HTML links to */
export function usersIn(html: string): string[] {
  const links = [...html.matchAll(/href\s*=\s*"([^"]*)"/gi)]
  return [...new Set(links.flatMap(([, href = '']) => userIdOf(unescaped(href)) ?? []))]
}

/**
 * @param mentioned whom the text's `@<number>` are
 * @returns a text's fields in an event, as mautrix-whatsapp gives them
 */
export function formattedText(
  { text, html, mentions = [] }: Pick<Message, 'text' | 'html' | 'mentions'>,
  { platform, mentioned }: Writing,
): Record<string, unknown> {
  const plain = escaped(text).replaceAll('\n', '<br>')
  let formatted = html ?? (platform === 'wa' ? withoutMarks(plain) : plain)
  let body = text
  for (const phone of mentions) {
    const { userId, name } = mentioned(phone)
    body = body.replaceAll(`@${phone}`, name)
    const pill = `<a href="https://matrix.to/#/${userId}">${escaped(name)}</a>`
    formatted = formatted.replaceAll(`@${phone}`, pill)
  }
  return {
    body,
    ...(formatted === plain ? {} : { format: 'org.matrix.custom.html', formatted_body: formatted }),
    ...(mentions.length === 0
      ? {}
      : { 'm.mentions': { user_ids: mentions.map(phone => mentioned(phone).userId) } }),
  }
}

/** WhatsApp's marks as HTML; they stand at the ends of words. */
function withoutMarks(escapedText: string): string {
  const between = (mark: string) =>
    new RegExp(`(^|[\\s>_~*])${mark}(\\S(?:.*?\\S)?)${mark}(?![\\p{L}\\p{N}])`, 'gu')
  return escapedText
    .replace(/```(.+?)```/g, '<pre><code>$1</code></pre>')
    .replace(between('\\*'), '$1<strong>$2</strong>')
    .replace(between('_'), '$1<em>$2</em>')
    .replace(between('~'), '$1<del>$2</del>')
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  '#39': "'",
  nbsp: ' ',
}

function unescaped(text: string): string {
  return text.replace(/&([a-z]+|#\d+);/gi, (whole, name: string) => ENTITIES[name.toLowerCase()] ?? whole)
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
