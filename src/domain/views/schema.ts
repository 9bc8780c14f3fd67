/** Makes the schemas of views: TypeBox, as OpenAPI has them. */
import {
  type ObjectOptions,
  type SchemaOptions,
  type TProperties,
  type TSchema,
  Type,
} from '@sinclair/typebox'

/** Where a schema says by which name the document has it. */
export const NAME = 'x-name'

/** An object that the document has once, under a name of its own. */
export function model<T extends TProperties>(name: string, properties: T, options: ObjectOptions = {}) {
  return Type.Object(properties, { [NAME]: name, ...options })
}

/** One of a closed set. (`Type.Union` of a list loses the type.) */
export function oneOf<const T extends readonly string[]>(values: T, options: SchemaOptions = {}) {
  const union: TSchema = Type.Union(
    values.map(value => Type.Literal(value)),
    options,
  )
  return Type.Unsafe<T[number]>(union)
}

export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()])
}

/** @param about what happens then, as a sentence */
export function timestamp(about = '') {
  return Type.String({ format: 'date-time', description: `${about} RFC 3339 in UTC.`.trim() })
}
