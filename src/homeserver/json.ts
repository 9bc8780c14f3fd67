/** JSON values, and parsing of stored ones. */

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
