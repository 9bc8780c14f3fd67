/**
 * How people write groups, Matrix users and lists of recipients. lib/phone-numbers has the numbers.
 */

/** True for an invite link to a group: `https://…`, `tg://…`, or `t.me/…` without a scheme. */
export function isGroupLink(group: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(group) || /^[a-z0-9-]+(\.[a-z0-9-]+)+\/\S/i.test(group)
}

/**
 * True when a reader wouldn't see some of it, or would take it to end early: white space, control
 * and format characters.
 */
export function hasBlanks(text: string): boolean {
  return /[\s\p{Z}\p{Cc}\p{Cf}\p{Co}\p{Cs}]/u.test(text)
}

const WEB_LINK = /^https?:\/\/(?:www\.)?([^/?#]+)([^?#]*)(\?[^#]*)?(#.*)?$/i

/** Invitations as apps link to them, and their web links. */
const APP_LINKS: readonly (readonly [RegExp, string])[] = [
  [/^tg:\/\/join\/?\?(?:[^#]*&)?invite=([^&#]+).*$/i, 'https://t.me/+$1'],
  [/^whatsapp:\/\/chat\/?\?(?:[^#]*&)?code=([^&#]+).*$/i, 'https://chat.whatsapp.com/$1'],
  [/^sgnl:\/\/signal\.group\//i, 'https://signal.group/'],
  [/^(https?:\/\/chat\.whatsapp\.com)\/invite\//i, '$1/'],
]
const TELEGRAM = 't.me'
const TELEGRAM_HOSTS = [TELEGRAM, 'telegram.me', 'telegram.dog']
/** In their invitations a query says where the link was found. Elsewhere it may be the group. */
const WITHOUT_QUERY = ['chat.whatsapp.com', 'signal.group', ...TELEGRAM_HOSTS]
/** Both stand for the `+` of an invitation. */
const TELEGRAM_INVITATION = /^\/(?:joinchat\/|%2B)/i

/**
 * One key for each way of writing the same group. A link's is its web link: with https, without
 * `www.` and trailing slash, its host in lower case. The rest keeps its case, which is part of an
 * invitation's code.
 */
export function groupKey(group: string): string {
  const trimmed = group.trim()
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed)
  const url = hasScheme || !isGroupLink(trimmed) ? trimmed : `https://${trimmed}`
  const link = WEB_LINK.exec(APP_LINKS.reduce((known, [app, web]) => known.replace(app, web), url))
  if (!link) return trimmed
  const [, writtenHost = '', path = '', writtenQuery = '', fragment = ''] = link
  const host = writtenHost.toLowerCase()
  const query = WITHOUT_QUERY.includes(host) ? '' : writtenQuery
  // Signal's links carry the group in the fragment, so it stays.
  const end = query === '' && fragment === '' ? path.replace(/(?<!\/)\/+$/, '') : path
  return TELEGRAM_HOSTS.includes(host)
    ? `https://${TELEGRAM}${end.replace(TELEGRAM_INVITATION, '/+')}${fragment}`
    : `https://${host}${end}${query}${fragment}`
}

/** True for a Matrix user id, as webhooks have it: `@whatsapp_1234567890:server`. */
export function isMatrixUserId(text: string): boolean {
  return /^@[^:\s]+:\S+$/.test(text)
}

/** True for a chat's own id, and for the Matrix id of its room. */
export function isChatReference(text: string): boolean {
  return text.startsWith('!') || /^chat_[0-9a-f]{32}$/.test(text)
}

/** Splits a comma-separated list, without empty parts and repeats. */
export function splitList(text: string): string[] {
  return [
    ...new Set(
      text
        .split(',')
        .map(part => part.trim())
        .filter(part => part !== ''),
    ),
  ]
}
