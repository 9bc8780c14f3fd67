/**
 * What is done about fields and parameters that a call doesn't know. One that is misspelt and ignored changes what is asked for, and nobody notices: a
 * token that never expires, a filter that filters nothing.
 *
 * Calls of our own refuse whatever they don't know. Those of the usage guide are also made by clients of the system that it documents, which ignored
 * what else they sent; so these calls refuse only what looks like one of their own fields, misspelt.
 */
import type { TSchema } from 'elysia'
import { GatewayError } from '../domain/errors.ts'
import { meantBy } from '../lib/likeness.ts'
import { KNOWN_ONLY } from './schemas.ts'

/** What a route takes, as far as it says. */
export interface Accepted {
  body?: TSchema | undefined
  query?: TSchema | undefined
}

/**
 * Far more than any call has. Comparing a name costs microseconds, and a body may have a hundred
 * thousand.
 */
const MAX_NAMES = 100

/**
 * @throws GatewayError bad_request that names the first field or parameter outside the schema, or
 * says that there are too many
 */
export function refuseUnknown(what: 'field' | 'parameter', given: readonly string[], schema: TSchema): void {
  refuseTooMany(what, given.length)
  const known: Record<string, unknown> = schema.properties ?? {}
  for (const name of given) {
    if (Object.hasOwn(known, name)) continue
    const meant = meantBy(name, Object.keys(known))
    if (meant !== undefined) throw unknown(what, name, `; did you mean ${meant}?`)
    if (schema[KNOWN_ONLY]) throw unknown(what, name, `: expected ${namesOf(known)}`)
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

/** Of what isn't known only as much is said again. */
const MAX_SHOWN = 64

function unknown(what: string, name: string, hint: string): GatewayError {
  return new GatewayError('bad_request', `${name.slice(0, MAX_SHOWN)}: there is no such ${what}${hint}`)
}

function namesOf(known: Record<string, unknown>): string {
  const names = Object.keys(known)
  return names.length === 0 ? 'none' : names.join(', ')
}
