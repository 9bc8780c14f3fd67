/** /api/v1/credentials: API clients, for credentials with the scope for it. */
import type { NewCredential } from '../../../modules/tenants/credentials.ts'
import { answer, basicRoute } from '../../route.ts'
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
  return [
    basicRoute('POST', '/api/v1/credentials', {
      id: 'createCredential',
      tag: 'Credentials',
      summary: 'Create a credential',
      description: 'Save `client_secret` immediately: it is shown only once.',
      scope: 'credentials:write:*',
      body: CreateCredential,
      records: true,
      answer: answer(201, 'The credential and its secret', CredentialCreated),
      run: async ({ credential: actor, body, recorder }) => {
        const created = await credentials.create(actor, {
          clientId: body.client_id,
          description: body.description,
          role: body.role,
          scopes: body.scopes,
          record: recorder(createdAnswer),
        })
        return createdAnswer(created)
      },
    }),
    basicRoute('GET', '/api/v1/credentials', {
      id: 'listCredentials',
      tag: 'Credentials',
      summary: 'List credentials',
      scope: 'credentials:read:*',
      answer: answer(200, 'Oldest first', CredentialList),
      run: () => credentials.list(),
    }),
    basicRoute('PUT', '/api/v1/credentials/:client_id', {
      id: 'updateCredential',
      tag: 'Credentials',
      summary: 'Update a credential',
      description: 'Fields are optional. Omit to keep the current value.',
      scope: 'credentials:write:*',
      params: CredentialPath,
      body: UpdateCredential,
      answer: answer(200, 'As it is now', CredentialUpdated),
      errors: [404],
      run: async ({ credential: actor, params, body }) => {
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
    }),
    basicRoute('DELETE', '/api/v1/credentials/:client_id', {
      id: 'deleteCredential',
      tag: 'Credentials',
      summary: 'Delete a credential and its tokens',
      description: 'Super admin credentials cannot be deleted.',
      scope: 'credentials:write:*',
      params: CredentialPath,
      answer: messageAnswer('It is gone', DELETED),
      errors: [404],
      run: async ({ credential: actor, params }) => {
        await credentials.remove(actor, params.client_id)
        return { message: DELETED }
      },
    }),
  ]
}

function createdAnswer({ credential, clientSecret }: NewCredential) {
  return { message: CREATED, credential, client_secret: clientSecret }
}
