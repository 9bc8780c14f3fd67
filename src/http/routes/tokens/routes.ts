/** /api/v1/tokens: keys to an identity, by Basic authentication. */

import { t } from 'elysia'
import { GatewayError } from '../../../domain/errors.ts'
import { TokenPage } from '../../../domain/views/token.ts'
import type { Principal } from '../../../modules/tenants/credentials.ts'
import { answer, basicRoute } from '../../route.ts'
import { pageSize } from '../../schemas.ts'
import type { HttpServices } from '../../services.ts'
import { messageAnswer } from '../message-answer.ts'
import { CreateToken, TokenCreated, TokenId, TokenList, TokenPath, TokensQuery } from './model.ts'

const CREATED = 'Matrix token created successfully'
const DELETED = 'Matrix token deleted successfully'

function refuseHost({ role }: Principal, body: unknown): void {
  if ((body as { use_host?: unknown }).use_host !== true || role === 'super_admin') return
  throw new GatewayError('forbidden', 'use_host: needs a super_admin credential')
}

export function tokenRoutes({ tokens }: Pick<HttpServices, 'tokens'>) {
  return [
    basicRoute('POST', '/api/v1/tokens', {
      id: 'createToken',
      tag: 'Tokens',
      summary: 'Create a token',
      description:
        "A super admin's first token is marked as admin and creates the host Matrix identity. Other tokens get an identity of their own, or share the host identity with `use_host`. The header `Location` is where the token is deleted.",
      scope: 'tokens:write:create',
      refuse: refuseHost,
      body: CreateToken,
      records: true,
      answer: answer(201, 'The token, shown this once', TokenCreated),
      errors: [502],
      run: async ({ credential, body, recorder, set }) => {
        const created = (token: string) => ({ message: CREATED, token })
        const { use_host: useHost, expires_at: expiresAt } = body
        const { id, token } = await tokens.create({
          credential,
          useHost,
          expiresAt,
          record: recorder(created),
        })
        set.headers.location = `/api/v1/tokens/${id}`
        return created(token)
      },
    }),
    basicRoute('GET', '/api/v1/tokens', {
      id: 'listTokens',
      tag: 'Tokens',
      summary: "List your credential's tokens",
      description:
        'A super admin also sees tokens that belong to no credential. With `limit` or `cursor` the answer is a page, newest first; without them it is a list of all, oldest first.',
      scope: 'tokens:read:*',
      query: TokensQuery,
      answer: answer(200, 'All, or a page of them', t.Union([TokenList, TokenPage])),
      run: ({ credential, query: { limit, cursor } }) => {
        const isPaged = limit !== undefined || cursor !== undefined
        return isPaged ? tokens.page(credential, pageSize(limit), cursor) : tokens.list(credential)
      },
    }),
    basicRoute('DELETE', '/api/v1/tokens/:id', {
      id: 'deleteToken',
      tag: 'Tokens',
      summary: 'Delete a token',
      scope: 'tokens:write:delete',
      params: TokenPath,
      answer: messageAnswer('It is gone', DELETED),
      errors: [404],
      run: async ({ credential, params }) => {
        await tokens.remove(credential, TokenId.read(params.id))
        return { message: DELETED }
      },
    }),
  ]
}
