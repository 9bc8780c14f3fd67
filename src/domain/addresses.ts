/** How people write phone numbers and groups, brought to one form, so that the same chat is always the same chat. */

/**
 * A contact as the bridge's resolve_identifier takes it. Phone numbers keep only their digits (and a leading +);
 * anything that isn't written like a phone number is left as it is.
 */
export function normaliseContact(text: string): string {
  const trimmed = text.trim().replace(/^tel:/i, '')
  return /^\+?[\d\s().-]+$/.test(trimmed) && /\d/.test(trimmed) ? trimmed.replace(/[^\d+]/g, '') : trimmed
}

/**
 * One key for each way of writing the same contact: `+237 123` and `237123` are one. Ids of networks keep their case: some networks tell people
 * apart by it.
 */
export function contactKey(contact: string): string {
  const normalised = normaliseContact(contact)
  return /^\+?\d+$/.test(normalised) ? normalised.replace('+', '') : normalised
}

/** Whether a group is written as an invite link: `https://…`, `tg://…`, or `t.me/…` without a scheme. */
export function isGroupLink(group: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(group) || /^[a-z0-9-]+(\.[a-z0-9-]+)+\/\S/i.test(group)
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

/** The digits of a phone number, or null when `text` isn't one. */
export function phoneDigits(text: string): string | null {
  const normalised = normaliseContact(text)
  return /^\+?\d+$/.test(normalised) ? normalised.replace('+', '') : null
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
