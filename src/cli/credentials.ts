/** `meshgate credentials list|create|reset-secret`: for an operator without a working secret. */
import { type Command, Option } from 'commander'
import { effectiveScopes } from '../domain/scopes.ts'
import { ROLES, type Role } from '../domain/states.ts'
import { systemClock } from '../lib/clock.ts'
import type { Credentials, Principal } from '../modules/tenants/credentials.ts'
import { createCredentials } from '../modules/tenants/credentials.ts'
import { withKeyring } from './database.ts'
import { printTable } from './table.ts'
import { CommandError, type Terminal } from './terminal.ts'

/** An operator at the machine can read the database anyway, so nothing is withheld. */
const OPERATOR: Principal = { clientId: 'command line', role: 'super_admin', scopes: ['*'] }

interface CreateOptions {
  role: Role
  scopes: string[]
  description: string
}

export function addCredentialsCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('credentials')
    .description('API clients that authenticate with id and secret')
  command
    .command('list')
    .description('list the credentials')
    .action(() =>
      withCredentials(terminal, async credentials => {
        const rows = (await credentials.list()).map(credential => [
          credential.client_id,
          credential.role,
          credential.active ? 'yes' : 'no',
          effectiveScopes(credential.role, credential.scopes).join(' '),
          credential.created_at,
          credential.description,
        ])
        const header = ['client id', 'role', 'active', 'scopes', 'created', 'description']
        printTable(terminal, header, rows)
      }),
    )
  command
    .command('create')
    .description('make a credential and show its secret, this once')
    .argument('<client-id>', '1 to 64 letters, digits, dots, dashes or underscores')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).default('user'))
    .option('--scopes <scope...>', "instead of the role's own, for example tokens:read:*", [])
    .option('--description <text>', 'who it is for', '')
    .action((clientId: string, options: CreateOptions) =>
      withCredentials(terminal, async credentials => {
        const { clientSecret } = await credentials.create(OPERATOR, { clientId, ...options })
        showSecret(terminal, clientId, clientSecret)
      }),
    )
  command
    .command('reset-secret')
    .description('give a credential a new secret and show it, this once')
    .argument('<client-id>')
    .action((clientId: string) =>
      withCredentials(terminal, async (credentials, configuredId) => {
        if (clientId === configuredId) {
          throw new CommandError(
            `CLIENT_SECRET: ${clientId} is the credential of the settings; change it there and restart`,
          )
        }
        showSecret(terminal, clientId, await credentials.resetSecret(clientId))
      }),
    )
}

function showSecret(terminal: Terminal, clientId: string, clientSecret: string): void {
  terminal.print(`client id      ${clientId}`)
  terminal.print(`client secret  ${clientSecret}`)
  terminal.print('The secret is not stored and cannot be shown again.')
}

function withCredentials(
  terminal: Terminal,
  work: (credentials: Credentials, configuredId: string) => Promise<void>,
): Promise<void> {
  return withKeyring(terminal, (db, { hasherFor }, { secrets }) =>
    work(createCredentials({ db, hasher: hasherFor('credentials'), clock: systemClock }), secrets.clientId),
  )
}
