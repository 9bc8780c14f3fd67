/** Lists in pages: how many entries a caller wants, and the opaque cursor that leads on. */
import { t } from 'elysia'
import { GatewayError } from '../domain/errors.ts'
import type { Page, Place } from '../domain/views/page.ts'
import { jsonOrNull } from '../lib/json-or-null.ts'
import { pageLimit, pageSize } from './schemas.ts'

const MAX_CURSOR_LENGTH = 1_024

/** Query fields of a list. */
export const pageQuery = {
  limit: pageLimit,
  cursor: t.Optional(
    t.String({
      maxLength: MAX_CURSOR_LENGTH,
      description: '`next` of an answer: what comes after it. Use it with the same list only.',
    }),
  ),
}

/** The types of a list's places: `['number', 'string']`. */
type Kinds<End extends Place> = { [Index in keyof End]: End[Index] extends number ? 'number' : 'string' }

/**
 * @param kinds of the list's places
 * @returns the number of entries, and where the page begins; undefined: at the first entry
 * @throws GatewayError bad_request when the cursor isn't one of this list
 */
export function pageAsked<End extends Place>(
  { limit, cursor }: { limit?: string | undefined; cursor?: string | undefined },
  kinds: Kinds<End>,
): { limit: number; after: End | undefined } {
  return { limit: pageSize(limit), after: cursor === undefined ? undefined : placeOf<End>(cursor, kinds) }
}

/** Makes a page what clients see. */
export function pageShown<Item>({ data, next }: Page<Item>): { data: Item[]; next: string | null } {
  return { data, next: next && Buffer.from(JSON.stringify(next)).toString('base64url') }
}

function placeOf<End extends Place>(cursor: string, kinds: Kinds<End>): End {
  const place = jsonOrNull(Buffer.from(cursor, 'base64url').toString())
  const expected: readonly string[] = kinds
  const isPlace =
    Array.isArray(place) &&
    place.length === expected.length &&
    place.every((part, index) => typeof part === expected[index] && part !== null)
  if (isPlace) return place as unknown as End
  throw new GatewayError('bad_request', 'cursor: expected the next of an earlier answer of this list')
}
