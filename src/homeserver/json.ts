/** JSON values, parsing of stored ones, and of those that clients send. */
import { endOfString, isNestedTooDeep, MAX_NESTING } from '../lib/json-nesting.ts'
import { badJson, MatrixError, tooLarge } from './errors.ts'

export type Json = string | number | boolean | null | Json[] | JsonObject
export interface JsonObject {
  [key: string]: Json
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Parses JSON that this server wrote itself. */
export function parseStored(text: string): JsonObject {
  return JSON.parse(text) as JsonObject
}

/** Fields and list items of one body; this many take a few milliseconds to parse and validate. */
const MAX_VALUES = 12_000

const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39
const NUMBER = /-?\d+(?:[.eE][\d.eE+-]*)?/y
/** An escaped surrogate half. */
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/

export interface JsonRules {
  /** True for events, which hold only whole numbers. */
  wholeNumbers?: boolean
  /** Most fields and list items. */
  maxValues?: number
}

/**
 * Parses JSON sent by a client. Refuses what this server couldn't store unchanged, or takes long to
 * walk: JavaScript rounds a number that it can't hold and replaces an unpaired surrogate.
 * @see https://spec.matrix.org/v1.12/appendices/#canonical-json
 * @throws MatrixError M_NOT_JSON; M_BAD_JSON when storing would change it or it is nested too deep;
 * M_TOO_LARGE
 */
export function parseJson(text: string, rules: JsonRules = {}): unknown {
  if (isNestedTooDeep(text)) throw badJson(`Lists and objects are nested deeper than ${MAX_NESTING} levels`)
  scan(text, rules)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new MatrixError(400, 'M_NOT_JSON', 'The body is not JSON')
  }
  if (SURROGATE_ESCAPE.test(text) && !isWellFormed(value))
    throw badJson('A text holds half of a surrogate pair, which is no character')
  return value
}

function scan(text: string, { wholeNumbers = false, maxValues = MAX_VALUES }: JsonRules): void {
  let commas = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) index = endOfString(text, index)
    else if (code === COMMA) {
      if (++commas > maxValues) throw tooLarge(`The body holds more than ${maxValues} fields and list items`)
    } else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      NUMBER.lastIndex = index
      const number = NUMBER.exec(text)?.[0]
      if (number === undefined) continue
      assertNumber(number, wholeNumbers)
      index += number.length - 1
    }
  }
}

/** The error quotes the number, so that the sender can find it. */
function assertNumber(text: string, wholeNumbers: boolean): void {
  const shown = text.slice(0, 40)
  if (/[.eE]/.test(text)) {
    if (wholeNumbers) throw badJson(`${shown} is not a whole number, and an event holds no others`)
    if (!Number.isFinite(Number(text))) throw badJson(`${shown} is larger than any number can be`)
  } else if (!Number.isSafeInteger(Number(text)))
    throw badJson(`${shown} is beyond 2^53-1, the largest whole number`)
}

/** Recursion is safe: the nesting is already bounded. */
function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) return value.every(isWellFormed)
  return Object.entries(value).every(([name, inner]) => name.isWellFormed() && isWellFormed(inner))
}
