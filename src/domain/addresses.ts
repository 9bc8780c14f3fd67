/**
 * How people write groups, Matrix users and lists of recipients. lib/phone-numbers has the numbers.
 */

/** Whether a group is written as an invite link: `https://…`, `tg://…`, or `t.me/…` without a scheme. */
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

/** One key for each way of writing the same group: an invite link without query, fragment and trailing slash. */
export function groupKey(group: string): string {
  const trimmed = group.trim()
  if (!/^https?:\/\//i.test(trimmed)) return trimmed
  // Signal's links carry the group in the fragment, so it stays.
  return trimmed
    .replace(/\?[^#]*/, '')
    .replace(/\/+$/, '')
    .replace(/^http:/i, 'https:')
}

/** Whether a contact is written as a Matrix user id, as webhooks have it: `@whatsapp_1234567890:server`. */
export function isMatrixUserId(text: string): boolean {
  return /^@[^:\s]+:\S+$/.test(text)
}

/** Splits the guide's comma-separated lists. Empty parts are dropped and repeats kept once, in the order given. */
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
