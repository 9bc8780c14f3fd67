/**
 * Parses bots' messages: those of bridgev2 (maunium.net/go/mautrix, bridgev2/commands), and of
 * older bridges in Go and in Python, in similar words. An unknown text gives null or an empty
 * result, never an error.
 */
import type { LoginFlow } from '../domain/login-steps.ts'
import type { BridgeContact, BridgeLogin, JoinedGroup, RoomEvent } from '../domain/ports.ts'
import { ALL_COOKIES, type CookieField, type LinkField } from '../domain/views/link.ts'
import { decodedPart } from '../lib/decoded-part.ts'
import { jsonOrNull } from '../lib/json-or-null.ts'
import { phoneDigits } from '../lib/phone-numbers.ts'
import { PLAIN_FIELD } from './provisioning-answers.ts'

/** Text of a bot's message. Links are only in the HTML, which is then turned back into Markdown. */
export function textOf(content: Record<string, unknown>): string {
  const { body, formatted_body: html } = content
  if (typeof html !== 'string' || !html.includes('https://matrix.to/'))
    return typeof body === 'string' ? body : ''
  return html
    .replace(/<a href="([^"]*)">(.*?)<\/a>/gs, '[$2]($1)')
    .replace(/<\/?code>/g, '`')
    .replace(/<li>/g, '\n* ')
    .replace(/<br ?\/?>|<\/p>/g, '\n')
    .replace(/<[^>]+>/g, '')
    .replace(/&(amp|lt|gt|quot|#39|#34);/g, (_, entity: string) => ENTITIES[entity] ?? '')
    .trim()
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#34': '"' }

/** "Unknown command, use the `help` command for help." */
export function isUnknownCommand(text: string): boolean {
  return /unknown command/i.test(text)
}

/** "**login** [_flow ID_] - Log into the bridge", one per line: arguments by command. */
export function commandsIn(help: string): Map<string, string> {
  const commands = new Map<string, string>()
  for (const [, name = '', args = ''] of help.matchAll(/^\W*\*\*([\w-]+)\*\*(.*)$/gm)) {
    commands.set(name, args.split(' - ')[0]?.trim() ?? '')
  }
  return commands
}

/**
 * Finds login commands, one per line: "**login-qr** - Log in by scanning a QR code". Omits the one
 * for a user's own Matrix account.
 */
export function loginCommandsIn(help: string): LoginFlow[] {
  return [...help.matchAll(/^\W*\*\*(login(?:-[\w-]+)?)\*\*(.*)$/gm)]
    .map(([, id = '', rest = '']) => ({ id, name: id, description: rest.replace(/^.*? - /, '').trim() }))
    .filter(({ id }) => id !== 'login-matrix')
}

/** "* `qr` - Scan a QR code …", one per line. */
export function flowsIn(text: string): LoginFlow[] {
  return [...text.matchAll(/^\W*`([^`\s]+)` - (.*)$/gm)].map(([, id = '', description = '']) => ({
    id,
    name: id,
    description: description.trim(),
  }))
}

/** "* `237…` (+237…) - `CONNECTED`" lines; older bridges (one login): "Logged in as +237… (…". */
export function loginsIn(text: string): BridgeLogin[] {
  const listed = [...text.matchAll(/^\W*`([^`]+)` \((.*)\) - `([A-Z_]*)`/gm)]
  if (listed.length > 0) {
    return listed.map(([, id = '', name = '', state]) => ({
      ...login(id, name),
      stateEvent: state || null,
    }))
  }
  const [, name] = /(?<!not )logged in as ([^\n,(]+)/i.exec(text) ?? []
  return name === undefined ? [] : [login(phoneDigits(name) ?? withoutMarks(name), withoutMarks(name))]
}

function login(id: string, name: string): BridgeLogin {
  return {
    id,
    name: name || id,
    phone: name.startsWith('+') ? phoneDigits(name) : null,
    stateEvent: null,
    reason: null,
  }
}

/** "Found `id` / [Name](https://matrix.to/#/@ghost:server)", "Created chat with … : [Name](…)". */
export function contactIn(text: string): BridgeContact | null {
  const [, id] = /`([^`]+)`/.exec(text) ?? []
  if (id === undefined) return null
  const links = [...text.matchAll(/\[([^\]]*)\]\(https:\/\/matrix\.to\/#\/([^)\s?]+)[^)]*\)/g)]
  const targets = links.map(([, name = '', target = '']) => ({ name, target: decodedPart(target) ?? target }))
  const ghost = targets.find(({ target }) => target.startsWith('@'))
  const [, plainName] = /`[^`]+` \/ ([^\n[]+)/.exec(text) ?? []
  const name = ghost?.name || plainName?.trim() || id
  return {
    id,
    matrixUserId: ghost?.target ?? null,
    name,
    phone: name.startsWith('+') ? phoneDigits(name) : null,
    identifiers: [],
    roomId: targets.find(({ target }) => target.startsWith('!'))?.target ?? null,
  }
}

/** "* `id` / [Name](…) - DM portal: [Name](…)", one per line. */
export function contactsIn(text: string): BridgeContact[] {
  return text.split('\n').flatMap(line => (/^\W*`/.test(line) ? (contactIn(line) ?? []) : []))
}

/** True if the bot says that the person doesn't exist, rather than that it couldn't find out. */
export function saysNobody(text: string): boolean {
  return /not found|(is|are)n[o']t on\b|not on \w+|no such|does(n't| not) exist|not registered/i.test(text)
}

/** "Successfully joined group `id`, …" (WhatsApp), "You're already a member of NAME" (Telegram). */
export function joinedIn(text: string): JoinedGroup | null {
  const [, already, joined] = /already (?:a member of|in|joined) (.+)|joined (.+)/is.exec(text) ?? []
  const what = already ?? joined
  if (what === undefined) return null
  const [, channelId = null] = /`([^`]+)`/.exec(what) ?? []
  const name = channelId === null ? withoutMarks(what.split('\n')[0] ?? '') : null
  return { channelId, name: name || null, already: already !== undefined }
}

/** Meaning of a bot's message during a login. */
export type LoginSaying =
  | { kind: 'qr' | 'code' | 'emoji'; data: string }
  | { kind: 'prompt'; field: LinkField }
  | { kind: 'cookies'; url: string }
  | { kind: 'passkey'; url: string; publicKey: Record<string, unknown> }
  /** Belongs to the prompt that follows. */
  | { kind: 'picture'; picture: BotPicture }
  /** The bot refuses the input and asks again. */
  | { kind: 'refused'; message: string }
  | { kind: 'failed'; message: string }
  | { kind: 'busy' }
  | { kind: 'succeeded'; text: string }
  /** An instruction, or anything else. */
  | { kind: 'says'; text: string }

/** A file of the homeserver. */
export interface BotPicture {
  mxcUri: string
  fileName: string
  mimeType: string
}

export function loginSaying(event: RoomEvent): LoginSaying {
  const content = currentContent(event)
  const text = String(content.body ?? '').trim()
  const picture = pictureIn(content)
  if (picture) return { kind: 'picture', picture }
  if (content.msgtype === 'm.image') return { kind: 'qr', data: text }
  if (text.includes('navigator.credentials.get(')) return passkeyIn(text)
  const code =
    /^`([^`]+)`$/.exec(text)?.[1] ?? /^<code>([^<]+)<\/code>$/.exec(String(content.formatted_body))?.[1]
  if (code !== undefined) return { kind: 'code', data: code }
  if (/^\p{Extended_Pictographic}[\p{Extended_Pictographic}\p{Emoji_Component}]*$/u.test(text))
    return { kind: 'emoji', data: text }
  const url = /^Login URL: <?(\S+?)>?$/m.exec(text)?.[1]
  if (url !== undefined) return { kind: 'cookies', url: url.replace(/^\[.*\]\((.*)\)$/, '$1') }
  if (/^Please enter your /.test(text)) return { kind: 'prompt', field: promptedField(text) }
  if (/already have an ongoing/i.test(text)) return { kind: 'busy' }
  if (
    /^(Invalid value\b|Input is not valid|Failed to parse (input|curl|cookie)|Missing some keys|Some keys can't)/.test(
      text,
    )
  )
    return { kind: 'refused', message: text }
  if (FAILURES.some(failure => failure.test(text))) return { kind: 'failed', message: text }
  if (SUCCESSES.some(success => success.test(text))) return { kind: 'succeeded', text }
  return { kind: 'says', text }
}

const FAILURES = [
  /^(Login failed|Failed to (start|prepare|submit|send QR))/i,
  /^(Invalid login flow|Invalid (number of )?extra parameters|Unsupported display type)/,
  /^(This login flow requires|No login flows available)/,
  /^(You have reached the maximum number|You do not have permissions|That command )/,
  /\b(login )?cancelled\.$|^Login `.*` not found/i,
  /\btimed out\b/i,
  /^You're already logged in/i,
  /unknown command/i,
]
const SUCCESSES = [
  /^(you('re| are| have)? ?)?(now |been )*(successfully )?logged in\b/i,
  /^login (was )?(successful|complete)/i,
]

/** The body of a QR code is its content; of any other picture, the name of the file. */
function pictureIn({ url, filename, body, info }: Record<string, unknown>): BotPicture | null {
  if (typeof url !== 'string' || typeof filename !== 'string' || filename !== body) return null
  const { mimetype } = (info ?? {}) as Record<string, unknown>
  return { mxcUri: url, fileName: filename, mimeType: String(mimetype ?? '') }
}

/** "Run the following JS on <https://…>: … parseRequestOptionsFromJSON({…}) … paste the … JSON". */
function passkeyIn(text: string): LoginSaying {
  const url = /\bon [<[(]?(https:\/\/[^\s<>[\]()]+?):?[>\])\s]/.exec(text)?.[1]
  const question = jsonOrNull(/parseRequestOptionsFromJSON\((\{.*\})\)\s*\}\)/s.exec(text)?.[1] ?? '')
  if (url !== undefined && typeof question === 'object' && question !== null)
    return { kind: 'passkey', url, publicKey: question as Record<string, unknown> }
  return { kind: 'failed', message: `asks for a passkey in words that we don't know: ${text.split('\n')[0]}` }
}

/** A hint for people who type. We put the prefix before each answer. */
export function isAboutPrefix(text: string): boolean {
  return /^\W*This is not your management room\b/.test(text)
}

/** Longer than any bot's prompt. On unbounded text the patterns would take unbounded time. */
const MAX_PROMPT_LENGTH = 2_000

/** True if a text asks for input, in an older bridge's words. */
export function asksForSomething(text: string): boolean {
  return /\b(please )?(send|enter|provide|type|input)\b.*\b(your|the|here)\b/i.test(
    text.slice(0, MAX_PROMPT_LENGTH),
  )
}

/** "Please enter your Phone number\n…\nOptions: `a`, `b`"; older: "Please send your … here …" */
export function promptedField(text: string): LinkField {
  const [firstLine = '', ...lines] = text.slice(0, MAX_PROMPT_LENGTH).split('\n')
  const asked = firstLine.replace(/^.*\b(send|enter|provide|type|input)\s+((your|the)\s+)?/i, '')
  const name = withoutMarks(asked.replace(/\s+(here|to log in)\b.*$/i, '')).replace(/[.:]+$/, '')
  const options = lines.flatMap(line =>
    line.startsWith('Options:') ? [...line.matchAll(/`([^`]+)`/g)].map(([, option = '']) => option) : [],
  )
  const isOptional = lines.some(line => SKIPPABLE.test(line))
  return {
    id:
      name
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '_')
        .replace(/^_+|_+$/g, '') || 'input',
    type: options.length > 0 ? 'select' : typeOf(name),
    name,
    ...PLAIN_FIELD,
    description: lines
      .filter(line => !line.startsWith('Options:') && !SKIPPABLE.test(line))
      .join('\n')
      .trim(),
    options,
    required: !isOptional,
  }
}

/** Said in place of an answer that may be left out. */
export const SKIP = 'skip'
const SKIPPABLE = /^Enter `skip` to skip this field/

/** A bot shows neither names nor patterns of the cookies it wants. */
export const COOKIES: CookieField = { ...ALL_COOKIES, sources: [] }

const TYPES: readonly [RegExp, string][] = [
  [/captcha/i, 'captcha_code'],
  [/phone/i, 'phone_number'],
  [/password|passphrase/i, 'password'],
  [/code|2fa|otp/i, '2fa_code'],
  [/e-?mail/i, 'email'],
  [/token/i, 'token'],
  [/user/i, 'username'],
  [/domain/i, 'domain'],
  [/url/i, 'url'],
]

function typeOf(name: string): string {
  return TYPES.find(([pattern]) => pattern.test(name))?.[1] ?? 'token'
}

/** An edit's new content replaces the event's (client-server API, "Event replacements"). */
function currentContent({ content }: RoomEvent): Record<string, unknown> {
  const replacement = content['m.new_content']
  return typeof replacement === 'object' && replacement !== null
    ? (replacement as Record<string, unknown>)
    : content
}

function withoutMarks(text: string): string {
  return text.replace(/[`*_]/g, '').trim()
}
