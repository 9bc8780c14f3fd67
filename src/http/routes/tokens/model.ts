/** Bodies of the token routes. */

import { t } from 'elysia'
import { model } from '../../../domain/views/schema.ts'
import { Token } from '../../../domain/views/token.ts'
import { pageLimit, wholeNumber } from '../../schemas.ts'

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
  { examples: [{ use_host: false, expires_at: '2099-12-31T23:59:59Z' }] },
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

export const TokenList = t.Array(Token)

export const TokenId = wholeNumber('id', { minimum: 1, description: 'From the list of tokens.' })
export const TokenPath = t.Object({ id: TokenId.schema })
