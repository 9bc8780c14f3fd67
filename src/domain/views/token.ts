/** A token as clients see it: never the token itself, nor its hash. */
import { type Static, Type } from '@sinclair/typebox'
import { model, nullable, timestamp } from './schema.ts'

const EXAMPLE = {
  id: 1480623975,
  matrix_username: '@xxxxxxxxxxxx:matrix.example.com',
  matrix_device_id: 'MESHGATE',
  is_admin: true,
  expires_at: null,
  last_used_at: '2026-04-27T10:00:00Z',
  created_at: '2026-04-27T10:00:00Z',
  updated_at: '2026-04-27T10:00:00Z',
}

export const Token = model(
  'Token',
  {
    id: Type.Integer({ description: 'A random number of 31 bits.' }),
    matrix_username: Type.String(),
    matrix_device_id: Type.String(),
    is_admin: Type.Boolean(),
    expires_at: nullable(timestamp()),
    last_used_at: nullable(timestamp()),
    created_at: timestamp(),
    updated_at: timestamp(),
  },
  { examples: [EXAMPLE] },
)
export type TokenView = Static<typeof Token>

export const TokenPage = model(
  'TokenPage',
  {
    data: Type.Array(Token, { description: 'Newest first.' }),
    next: nullable(Type.String({ description: 'What `cursor` takes for the next page; null at the end.' })),
  },
  { examples: [{ data: [EXAMPLE], next: null }] },
)
export type TokenPage = Static<typeof TokenPage>
