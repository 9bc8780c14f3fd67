/** Bodies of the token routes. */
import { t } from 'elysia'
import { integer, model, nullable, pageLimit, timestamp, wholeNumber } from '../../schemas.ts'

export const CreateToken = model(
  'CreateToken',
  {
    use_host: t.Optional(
      t.Boolean({
        description: "Share the admin's identity and its devices. Needs a super_admin credential.",
        default: false,
      }),
    ),
    expires_at: t.Optional(
      t.String({
        description: 'RFC 3339 with an offset, in the future. Without it the token never expires.',
      }),
    ),
  },
  { examples: [{ use_host: false, expires_at: '2026-12-31T23:59:59Z' }] },
)

export const TokenCreated = model(
  'TokenCreated',
  { message: t.String(), token: t.String({ description: 'Shown this once.' }) },
  { examples: [{ message: 'Matrix token created successfully', token: 'mt_abc123...' }] },
)

export const TokensQuery = t.Object({
  limit: pageLimit,
  cursor: t.Optional(
    t.String({ maxLength: 256, description: '`next` of an answer of this list: the page after it.' }),
  ),
})

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

const Token = model(
  'Token',
  {
    id: integer({ description: 'A random number of 31 bits.' }),
    matrix_username: t.String(),
    matrix_device_id: t.String(),
    is_admin: t.Boolean(),
    expires_at: nullable(timestamp()),
    last_used_at: nullable(timestamp()),
    created_at: timestamp(),
    updated_at: timestamp(),
  },
  { examples: [EXAMPLE] },
)

export const TokenList = t.Array(Token)

export const TokenPage = model(
  'TokenPage',
  {
    data: t.Array(Token, { description: 'Newest first.' }),
    next: nullable(t.String({ description: 'What `cursor` takes for the next page; null at the end.' })),
  },
  { examples: [{ data: [EXAMPLE], next: null }] },
)

export const TokenId = wholeNumber('id', { minimum: 1, description: 'From the list of tokens.' })
export const TokenPath = t.Object({ id: TokenId.schema })
