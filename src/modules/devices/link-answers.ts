/** Ties answers to the fields of a login's step, and checks them for the bridge. */
import { z } from 'zod'
import { GatewayError } from '../../domain/errors.ts'
import { ALL_COOKIES, type LinkField } from '../../domain/views/link.ts'
import { jsonOrNull } from '../../lib/json-or-null.ts'
import { normaliseContact } from '../../lib/phone-numbers.ts'
import { mayBePasted, pastedCookies } from './pasted-cookies.ts'

type Inputs = Readonly<Record<string, string>>

/** Longer than any cookie header that a browser sends, in characters. */
const MAX_LENGTH = 32_768

/**
 * Ties what was given to the fields.
 * @param inputs by a field's id, or by its type where only one field has it; or ALL_COOKIES
 * @returns by id
 * @throws GatewayError bad_request naming an input that isn't asked for or can't be read
 */
export function tiedToFields(fields: readonly LinkField[], inputs: Inputs): Record<string, string> {
  const tied: Record<string, string> = {}
  for (const [name, value] of Object.entries(inputs)) {
    if (name === ALL_COOKIES.id && mayBePasted(fields)) {
      Object.assign(tied, pastedCookies(fields, value))
      continue
    }
    const field = fieldNamed(fields, name)
    if (!field)
      throw new GatewayError('bad_request', `${name}: this isn't asked for, expected ${namesOf(fields)}`)
    tied[field.id] = value
  }
  return tied
}

/** Picks the known answers to these fields, by id. @param known by a field's id or type */
export function knownOf(
  fields: readonly LinkField[],
  known: ReadonlyMap<string, string>,
): Record<string, string> {
  const asked = [...known].filter(([name]) => isAsked(fields, name))
  return tiedToFields(fields, Object.fromEntries(asked))
}

/** Each known answer is given once: one that was wrong would be wrong again. */
export function forget(fields: readonly LinkField[], known: Map<string, string>): void {
  for (const name of known.keys()) if (isAsked(fields, name)) known.delete(name)
}

function isAsked(fields: readonly LinkField[], name: string): boolean {
  return fieldNamed(fields, name) !== undefined || (name === ALL_COOKIES.id && mayBePasted(fields))
}

/** True when the fields need nothing beyond these answers. */
export function suffices(fields: readonly LinkField[], answers: Inputs): boolean {
  return fields.every(field => Object.hasOwn(answers, field.id) || !isNeeded(field))
}

/**
 * The values as the bridge wants them, with defaults where nothing was given.
 * @param answers by field id
 * @throws GatewayError bad_request naming a field that is missing or can't be right
 */
export function checkedAnswers(fields: readonly LinkField[], answers: Inputs): Record<string, string> {
  const checked: Record<string, string> = {}
  for (const field of fields) {
    const given = Object.hasOwn(answers, field.id) ? answers[field.id] : field.default_value
    if (given != null) checked[field.id] = checkedValue(field, given)
    else if (field.required) throw new GatewayError('bad_request', `Missing required field: ${field.id}`)
  }
  return checked
}

export function namesOf(fields: readonly LinkField[]): string {
  return fields.map(field => field.id).join(', ')
}

function isNeeded(field: LinkField): boolean {
  return field.required && field.default_value === null
}

function fieldNamed(fields: readonly LinkField[], name: string): LinkField | undefined {
  const byId = fields.find(field => field.id === name)
  if (byId) return byId
  const byType = fields.filter(field => field.type === name)
  return byType.length === 1 ? byType[0] : undefined
}

function checkedValue(field: LinkField, given: string): string {
  const value = normalised(field, given)
  const expected = (what: string) => new GatewayError('bad_request', `${field.id}: expected ${what}`)
  if (value.length > MAX_LENGTH) throw expected(`text of at most ${MAX_LENGTH} characters`)
  if (field.type === 'credential' && !isCredential(value))
    throw expected('the JSON that navigator.credentials.get() gave')
  if (value === '') {
    if (field.required) throw expected('text that is not empty')
    return value
  }
  if (field.options.length > 0 && !field.options.includes(value))
    throw expected(`one of ${field.options.join(', ')}`)
  if (field.pattern !== null && !matches(field.pattern, value))
    throw expected(`something that matches ${field.pattern}`)
  return value
}

function normalised({ type }: LinkField, given: string): string {
  if (type === 'phone_number') return internationalNumber(given)
  // Spaces around a code are an accident of copying; within a password they may be meant.
  return type === 'password' || type === 'cookie' ? given : given.trim()
}

/** E.164, as bridges take it (bridgev2's CleanPhoneNumber), from however people write it. */
function internationalNumber(given: string): string {
  const number = normaliseContact(given)
  return /^[1-9]\d*$/.test(number) ? `+${number}` : number
}

/**
 * The JSON form of a passkey's answer, whatever else it holds.
 * @see https://www.w3.org/TR/webauthn-3/#dictdef-authenticationresponsejson
 */
function isCredential(value: string): boolean {
  return credential.safeParse(jsonOrNull(value)).success
}

const credential = z.object({
  id: z.string().min(1),
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: z.string().min(1),
    authenticatorData: z.string().min(1),
    signature: z.string().min(1),
  }),
})

/** The patterns are Go's: the bridge alone checks those that JavaScript doesn't know. */
function matches(pattern: string, value: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(value)
  } catch {
    return true
  }
}
