/** Schemas that several models share. */
import { t } from 'elysia'
import { GatewayError } from '../domain/errors.ts'

export interface WholeNumberOptions {
  minimum: number
  maximum?: number
  default?: number
  description?: string
}

/**
 * A whole number in a path or a query. `t.Integer` won't do: Elysia recognises a failed conversion
 * by the name of the error's class, which minification changes, so in the binary the text would
 * pass as it is.
 */
export function wholeNumber(name: string, options: WholeNumberOptions) {
  const { minimum, maximum = Number.MAX_SAFE_INTEGER } = options
  return {
    /** For the model. The document has it as an integer. */
    schema: t.String({ pattern: '^[0-9]{1,16}$', [AS_INTEGER]: options }),
    /** @throws GatewayError bad_request when it is out of range */
    read(text: string): number {
      const value = Number(text)
      if (value >= minimum && value <= maximum) return value
      throw new GatewayError('bad_request', `${name}: expected ${wholeNumberPhrase(options)}`)
    },
  }
}

/** A whole number in a JSON body. See `wholeNumber` for why it isn't `t.Integer`. */
export function wholeNumberInBody(name: string, options: WholeNumberOptions) {
  const { minimum, maximum = Number.MAX_SAFE_INTEGER } = options
  return {
    /** For the model. The document has it as an integer. */
    schema: t.Unknown({ [AS_INTEGER]: options }),
    /** @throws GatewayError bad_request */
    read(value: unknown): number {
      if (Number.isSafeInteger(value) && Number(value) >= minimum && Number(value) <= maximum)
        return Number(value)
      throw new GatewayError('bad_request', `${name}: expected ${wholeNumberPhrase(options)}`)
    },
  }
}

/**
 * Marks a schema whose unknown fields are refused (unknown-fields.ts), for calls that the usage
 * guide doesn't have.
 */
export const KNOWN_ONLY = 'x-known-only'
export const knownOnly = { [KNOWN_ONLY]: true }

/** Where a schema says that it is a whole number. */
export const AS_INTEGER = 'x-integer'

export function wholeNumberPhrase({ minimum, maximum }: WholeNumberOptions): string {
  if (maximum !== undefined) return `a whole number from ${minimum} to ${maximum}`
  return minimum === 1 ? 'a positive whole number' : 'a whole number'
}

/**
 * Texts by names that the caller chooses. Elysia makes an object of anything where a schema has
 * free keys, so the schema takes anything, and `read` tells what is wrong.
 */
export function textsByName(
  name: string,
  { maxLength, description }: { maxLength: number; description: string },
) {
  const documented = { [AS_TEXTS]: { additionalProperties: { type: 'string', maxLength }, description } }
  return {
    /** For the model. The document has it as an object of texts. */
    schema: t.Unknown(documented),
    /** @throws GatewayError bad_request */
    read(value: unknown): Record<string, string> {
      const wrong = (field: string, expected: string) =>
        new GatewayError('bad_request', `${field}: expected ${expected}`)
      if (value === undefined) throw new GatewayError('bad_request', `Missing required field: ${name}`)
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(name, 'an object')
      for (const [key, text] of Object.entries(value)) {
        if (typeof text !== 'string' || text.length > maxLength)
          throw wrong(`${name}.${key}`, `text of at most ${maxLength} characters`)
      }
      return value as Record<string, string>
    },
  }
}

/** Where a schema says that it is an object of texts. */
export const AS_TEXTS = 'x-texts'

/** Entries of a page of our own lists, by default. */
const PAGE_SIZE = 100
const PageLimit = wholeNumber('limit', { minimum: 1, maximum: 1_000, default: PAGE_SIZE })

/** `limit` of our own lists, the same for each. */
export const pageLimit = t.Optional(PageLimit.schema)

/** @throws GatewayError bad_request */
export function pageSize(limit: string | undefined): number {
  return limit === undefined ? PAGE_SIZE : PageLimit.read(limit)
}
