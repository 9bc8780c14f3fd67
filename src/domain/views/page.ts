/** A page of a list, the newest first, as clients see it. */
import { type TSchema, Type } from '@sinclair/typebox'
import { model, nullable } from './schema.ts'

/** Where a page ends: what the list is ordered by, of its last entry. */
export type Place = readonly (string | number)[]

/** A page before its end is made opaque. */
export interface Page<Item, End extends Place = Place> {
  data: Item[]
  /** Null when nothing comes after it. */
  next: End | null
}

/** @param name of the list in the document. @param item has an example */
export function pageModel<Item extends TSchema>(name: string, item: Item, description: string) {
  return model(
    name,
    {
      data: Type.Array(item, { description }),
      next: nullable(Type.String({ description: 'What `cursor` takes to go on; null at the end.' })),
    },
    { examples: [{ data: item.examples ?? [], next: null }] },
  )
}
