/** Bodies of the credential routes. */

import { t } from 'elysia'
import { CLIENT_ID_PHRASE } from '../../../domain/client-ids.ts'
import { SCOPES } from '../../../domain/scopes.ts'
import { ROLES } from '../../../domain/states.ts'
import { CREDENTIAL_EXAMPLE, Credential } from '../../../domain/views/credential.ts'
import { model, oneOf } from '../../../domain/views/schema.ts'

const ClientId = t.String({ description: `${CLIENT_ID_PHRASE}.` })
const Description = t.String({ maxLength: 1_000 })
const Role = oneOf(ROLES)
const Scopes = t.Array(t.String({ maxLength: 128 }), {
  maxItems: 64,
  description: `Colon paths, \`*\` matches the rest: ${SCOPES.join(', ')}. Empty: the role's own.`,
})

export const CreateCredential = model(
  'CreateCredential',
  {
    client_id: ClientId,
    description: t.Optional(Description),
    role: t.Optional(Role),
    scopes: t.Optional(Scopes),
  },
  { examples: [{ client_id: 'my-app', description: 'Production API client' }] },
)

export const UpdateCredential = model(
  'UpdateCredential',
  {
    description: t.Optional(Description),
    active: t.Optional(t.Boolean()),
    role: t.Optional(Role),
    scopes: t.Optional(Scopes),
    regenerate_secret: t.Optional(
      t.Boolean({ description: 'Replaces the secret. The new one is in the answer, this once.' }),
    ),
  },
  {
    examples: [
      {
        description: 'Updated description',
        active: true,
        scopes: ['tokens:read:*', 'tokens:write:create', 'tokens:write:delete'],
      },
    ],
  },
)

export const CredentialList = t.Array(Credential)

export const CredentialCreated = model(
  'CredentialCreated',
  { message: t.String(), credential: Credential, client_secret: t.String() },
  {
    examples: [
      {
        message: 'Credential created successfully',
        credential: CREDENTIAL_EXAMPLE,
        client_secret: 'xxxxxxxxxxxx',
      },
    ],
  },
)

export const CredentialUpdated = model(
  'CredentialUpdated',
  { message: t.String(), credential: Credential, client_secret: t.Optional(t.String()) },
  { examples: [{ message: 'Credential updated successfully', credential: CREDENTIAL_EXAMPLE }] },
)

export const CredentialPath = t.Object({ client_id: t.String() })
