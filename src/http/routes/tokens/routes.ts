/** /api/v1/tokens: keys to an identity, by Basic authentication. */
import { Elysia, t } from 'elysia'
import { GatewayError } from '../../../domain/errors.ts'
import type { Principal } from '../../../modules/credentials/types.ts'
import { listResponse } from '../../large-answers.ts'
import { operation } from '../../openapi/operation.ts'
import { basicAuth } from '../../plugins/auth.ts'
import { recorderOf } from '../../plugins/idempotency.ts'
import { pageSize } from '../../schemas.ts'
import type { HttpServices } from '../../services.ts'
import { messageAnswer } from '../message-answer.ts'
import { CreateToken, TokenCreated, TokenId, TokenList, TokenPage, TokenPath, TokensQuery } from './model.ts'

const CREATED = 'Matrix token created successfully'
const DELETED = 'Matrix token deleted successfully'

function refuseHost({ role }: Principal, body: unknown): void {
  if ((body as { use_host?: unknown }).use_host !== true || role === 'super_admin') return
  throw new GatewayError('forbidden', 'use_host: needs a super_admin credential')
}

export function tokenRoutes({ credentials, tokens }: Pick<HttpServices, 'credentials' | 'tokens'>) {
  return new Elysia({ name: 'tokens', prefix: '/api/v1/tokens' })
    .use(basicAuth(credentials))
    .post(
      '/',
      async ({ credential, body, set, request }) => {
        const answer = (token: string) => ({ message: CREATED, token })
        const token = await tokens.create({
          credential,
          useHost: body.use_host,
          expiresAt: body.expires_at,
          record: recorderOf(request, created => ({ status: 201, body: answer(created) })),
        })
        set.status = 201
        return answer(token)
      },
      {
        basic: { scope: 'tokens:write:create', body: 'json', records: true, refuse: refuseHost },
        body: CreateToken,
        detail: operation({
          id: 'createToken',
          summary: 'Create a token',
          description:
            "A super admin's first token is marked as admin and creates the host Matrix identity. Other tokens get an identity of their own, or share the host identity with `use_host`.",
          tag: 'Tokens',
          security: 'basicAuth',
          answers: { 201: { description: 'The token, shown this once', schema: TokenCreated } },
          errors: [400, 401, 403, 413, 415, 429, 502, 503],
        }),
      },
    )
    .get(
      '/',
      async ({ request, credential, query: { limit, cursor } }) => {
        const isPaged = limit !== undefined || cursor !== undefined
        const list = isPaged
          ? await tokens.page(credential, pageSize(limit), cursor)
          : tokens.list(credential)
        return listResponse(request, credential.clientId, list)
      },
      {
        basic: { scope: 'tokens:read:*', body: 'none' },
        query: TokensQuery,
        detail: operation({
          id: 'listTokens',
          summary: "List your credential's tokens",
          description:
            'A super admin also sees tokens that belong to no credential. With `limit` or `cursor` the answer is a page, newest first; without them it is a list of all, oldest first.',
          tag: 'Tokens',
          security: 'basicAuth',
          answers: {
            200: { description: 'All, or a page of them', schema: t.Union([TokenList, TokenPage]) },
          },
          errors: [400, 401, 403, 429],
        }),
      },
    )
    .delete(
      '/:id',
      async ({ credential, params }) => {
        await tokens.remove(credential, TokenId.read(params.id))
        return { message: DELETED }
      },
      {
        basic: { scope: 'tokens:write:delete', body: 'none' },
        params: TokenPath,
        detail: operation({
          id: 'deleteToken',
          summary: 'Delete a token',
          tag: 'Tokens',
          security: 'basicAuth',
          answers: { 200: messageAnswer('It is gone', DELETED) },
          errors: [400, 401, 403, 404, 429],
        }),
      },
    )
}
