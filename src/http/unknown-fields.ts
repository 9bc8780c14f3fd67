/**
 * Handles fields and parameters that a call doesn't know. One that is misnamed and ignored changes
 * what is asked for, and nobody notices: a token that never expires, a reply that answers nothing,
 * a filter that filters nothing.
 *
 * Our own calls refuse whatever they don't know. Those of the usage guide are also made by clients
 * of the system that it documents, which ignored other fields; so these calls refuse only what
 * looks like one of their own fields, misspelt, or is another API's name for one.
 */
import type { TSchema } from 'elysia'
import { GatewayError } from '../domain/errors.ts'
import { meantBy, plain } from '../lib/did-you-mean.ts'
import { KNOWN_ONLY } from './schemas.ts'

/**
 * Far more than any call has. Comparing a name costs microseconds, and a body may have a hundred
 * thousand.
 */
const MAX_NAMES = 100
/** Characters of an unknown name that an error repeats. */
const MAX_SHOWN = 64

const LIFETIMES = ['expiry', 'expires', 'expire', 'expiration', 'ttl', 'valid_until']
/**
 * Other APIs' names for our fields, and our own webhooks': ignored, they would change a call.
 * Beside our own field such a name changes nothing, and is ignored as any other.
 */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  platform: ['network'],
  contact: ['to', 'recipient', 'recipients', 'phone', 'phone_number', 'number', 'jid'],
  group_url: ['group', 'group_id', 'group_link', 'invite_link'],
  text: ['txt', 'message', 'body', 'content', 'msg', 'caption'],
  reply_id: [
    ...['reply', 'reply_to', 'reply_to_id', 'reply_to_message_id', 'in_reply_to'],
    ...['quote', 'quoted', 'quoted_id', 'quoted_message_id'],
  ],
  file: [
    ...['media', 'image', 'video', 'audio', 'document', 'attachment', 'attachments', 'files'],
    ...['url', 'media_url', 'image_url', 'file_url'],
  ],
  expires_in: LIFETIMES,
  expires_at: LIFETIMES,
  active: ['enabled', 'is_active'],
  events: ['event_types', 'event_names'],
}
const HINTS: Readonly<Record<string, string>> = {
  file: ' It is a part of a multipart form (multipart/form-data)',
}

/** @returns the known field that `name` is another API's name for, unless it is given itself */
function synonymOf(name: string, known: object, given: readonly string[]): string | undefined {
  const written = plain(name.slice(0, MAX_SHOWN))
  return Object.keys(known).find(
    ours => !given.includes(ours) && SYNONYMS[ours]?.some(other => plain(other) === written),
  )
}

/**
 * @param within path of the object that has the fields, with a dot at its end
 * @throws GatewayError bad_request that names the first field or parameter outside the schema, or
 * says that there are too many
 */
export function refuseUnknown(
  what: 'field' | 'parameter',
  given: readonly string[],
  schema: TSchema,
  within = '',
): void {
  refuseTooMany(what, given.length)
  const known: Record<string, unknown> = schema.properties ?? {}
  for (const name of given) {
    if (Object.hasOwn(known, name)) continue
    const meant = synonymOf(name, known, given) ?? meantBy(name, Object.keys(known))
    if (meant !== undefined)
      throw unknown(what, within + name, `; did you mean ${meant}?${HINTS[meant] ?? ''}`)
    if (schema[KNOWN_ONLY]) throw unknown(what, within + name, `: expected ${namesOf(known)}`)
  }
}

/** @throws GatewayError bad_request */
export function refuseTooMany(what: 'field' | 'parameter', count: number): void {
  if (count <= MAX_NAMES) return
  throw new GatewayError('bad_request', `There are ${count} ${what}s: expected at most ${MAX_NAMES}`)
}

/** Names of the parameters in a URL's query. */
export function queryNames(url: string): string[] {
  const start = url.indexOf('?')
  return start === -1 ? [] : [...new URLSearchParams(url.slice(start + 1)).keys()]
}

function unknown(what: string, name: string, hint: string): GatewayError {
  return new GatewayError('bad_request', `${name.slice(0, MAX_SHOWN)}: there is no such ${what}${hint}`)
}

function namesOf(known: Record<string, unknown>): string {
  const names = Object.keys(known)
  return names.length === 0 ? 'none' : names.join(', ')
}
