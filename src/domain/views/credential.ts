/** A credential as clients see it. */
import { type Static, Type } from '@sinclair/typebox'
import { ROLES } from '../states.ts'
import { model, oneOf, timestamp } from './schema.ts'

export const CREDENTIAL_EXAMPLE = {
  client_id: 'my-app',
  role: 'user',
  scopes: [],
  description: 'Production API client',
  active: true,
  created_at: '2026-04-27T10:00:00Z',
  updated_at: '2026-04-27T10:00:00Z',
}

export const Credential = model(
  'Credential',
  {
    client_id: Type.String(),
    role: oneOf(ROLES),
    scopes: Type.Array(Type.String()),
    description: Type.String(),
    active: Type.Boolean(),
    created_at: timestamp(),
    updated_at: timestamp(),
  },
  { examples: [CREDENTIAL_EXAMPLE] },
)
export type CredentialView = Static<typeof Credential>
