/** Schemas that several models share. */
import { type TSchema, t } from 'elysia'

interface WholeNumberOptions {
  minimum: number
  maximum?: number
  default?: number
  description?: string
}

/**
 * A whole number in a path or a query. Elysia turns the text into a number first, and a number out of range is then
 * reported without its place, so the schema carries the name.
 */
export function wholeNumber(name: string, options: WholeNumberOptions) {
  return t.Integer({ title: name, ...options })
}

/** One of a closed set. (`t.UnionEnum` would make its first value the default, `t.Union` of a list loses the type.) */
export function oneOf<const T extends readonly string[]>(values: T, options: { description?: string } = {}) {
  const union: TSchema = t.Union(
    values.map(value => t.Literal(value)),
    options,
  )
  return t.Unsafe<T[number]>(union)
}

export function nullable<T extends TSchema>(schema: T) {
  return t.Union([schema, t.Null()])
}

export function timestamp() {
  return t.String({ format: 'date-time', description: 'RFC 3339 in UTC.' })
}
