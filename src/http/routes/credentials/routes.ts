/** /api/v1/credentials: API clients, for super admins. */
import { Elysia } from 'elysia'
import type { NewCredential } from '../../../modules/credentials/types.ts'
import { listResponse } from '../../large-answers.ts'
import { operation } from '../../openapi/operation.ts'
import { basicAuth } from '../../plugins/auth.ts'
import { recorderOf } from '../../plugins/idempotency.ts'
import type { HttpServices } from '../../services.ts'
import { messageAnswer } from '../message-answer.ts'
import {
  CreateCredential,
  CredentialCreated,
  CredentialList,
  CredentialPath,
  CredentialUpdated,
  UpdateCredential,
} from './model.ts'

const CREATED = 'Credential created successfully'
const UPDATED = 'Credential updated successfully'
const DELETED = 'Credential deleted successfully'

export function credentialRoutes({ credentials }: Pick<HttpServices, 'credentials'>) {
  return new Elysia({ name: 'credentials', prefix: '/api/v1/credentials' })
    .use(basicAuth(credentials))
    .post(
      '/',
      async ({ credential: actor, body, set, request }) => {
        const created = await credentials.create(actor, {
          clientId: body.client_id,
          description: body.description,
          role: body.role,
          scopes: body.scopes,
          record: recorderOf(request, stored => ({ status: 201, body: createdAnswer(stored) })),
        })
        set.status = 201
        return createdAnswer(created)
      },
      {
        basic: { scope: 'credentials:write:*', body: 'json', records: true },
        body: CreateCredential,
        detail: operation({
          id: 'createCredential',
          summary: 'Create a credential',
          description: 'Save `client_secret` immediately: it is shown only once.',
          tag: 'Credentials',
          security: 'basicAuth',
          answers: { 201: { description: 'The credential and its secret', schema: CredentialCreated } },
          errors: [400, 401, 403, 409, 413, 415, 429],
        }),
      },
    )
    .get(
      '/',
      async ({ request, credential }) => listResponse(request, credential.clientId, await credentials.list()),
      {
        basic: { scope: 'credentials:read:*', body: 'none' },
        detail: operation({
          id: 'listCredentials',
          summary: 'List credentials',
          tag: 'Credentials',
          security: 'basicAuth',
          answers: { 200: { description: 'Oldest first', schema: CredentialList } },
          errors: [401, 403, 429],
        }),
      },
    )
    .put(
      '/:client_id',
      async ({ credential: actor, params, body }) => {
        const { credential, clientSecret } = await credentials.update(actor, params.client_id, {
          description: body.description,
          active: body.active,
          role: body.role,
          scopes: body.scopes,
          regenerateSecret: body.regenerate_secret,
        })
        return {
          message: UPDATED,
          credential,
          ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
        }
      },
      {
        basic: { scope: 'credentials:write:*', body: 'json' },
        params: CredentialPath,
        body: UpdateCredential,
        detail: operation({
          id: 'updateCredential',
          summary: 'Update a credential',
          description: 'Fields are optional. Omit to keep the current value.',
          tag: 'Credentials',
          security: 'basicAuth',
          answers: { 200: { description: 'As it is now', schema: CredentialUpdated } },
          errors: [400, 401, 403, 404, 413, 415, 429],
        }),
      },
    )
    .delete(
      '/:client_id',
      async ({ credential: actor, params }) => {
        await credentials.remove(actor, params.client_id)
        return { message: DELETED }
      },
      {
        basic: { scope: 'credentials:write:*', body: 'none' },
        params: CredentialPath,
        detail: operation({
          id: 'deleteCredential',
          summary: 'Delete a credential and its tokens',
          description: 'Super admin credentials cannot be deleted.',
          tag: 'Credentials',
          security: 'basicAuth',
          answers: { 200: messageAnswer('It is gone', DELETED) },
          errors: [401, 403, 404, 429],
        }),
      },
    )
}

function createdAnswer({ credential, clientSecret }: NewCredential) {
  return { message: CREATED, credential, client_secret: clientSecret }
}
