/** `meshgate registration`: prints our application service's registration for a homeserver. */
import type { Command } from 'commander'
import { registrationYaml } from '../bridges/setup/registration.ts'
import { type Env, parseEnvironment, readEnvSource } from '../config/index.ts'
import { isLoopback, isOneAddress, reachableHost } from '../lib/hosts.ts'
import { randomToken } from '../lib/tokens.ts'
import { identityNamespace } from '../modules/tenants/identities.ts'
import { baseUrl, CommandError, type Terminal } from './terminal.ts'

const ID = 'meshgate'

export function addRegistrationCommand(program: Command, terminal: Terminal): void {
  program
    .command('registration')
    .description("print the gateway's registration, for an external homeserver")
    .option('--url <url>', 'how the homeserver reaches the gateway')
    .option('--generate', 'make new tokens, and print the settings with them', false)
    .action((options: { url?: string; generate: boolean }) => registration(terminal, options))
}

/** Settings may be incomplete: this command makes the missing ones. */
function registration(terminal: Terminal, { url, generate }: { url?: string; generate: boolean }): void {
  const env = parseEnvironment(readEnvSource(terminal.directory, terminal.environment), terminal.directory)
  const tokens = generate ? { asToken: randomToken('as_'), hsToken: randomToken('hs_') } : tokensOf(env)
  const where = url === undefined ? ownUrl(env) : baseUrl('--url', url)
  const yaml = registrationYaml({
    id: ID,
    url: where,
    ...tokens,
    senderLocalpart: ID,
    namespaces: { users: [{ regex: identityNamespace(env.MATRIX_SERVER_NAME), exclusive: true }] },
  })
  terminal.print(yaml.trimEnd())
  if (env.PORT !== env.BRIDGE_PORT && new URL(where).port === String(env.PORT))
    terminal.complain(
      `--url: see that ${where} leads to BRIDGE_PORT (${env.BRIDGE_PORT}), where homeservers are served: ${env.PORT} is PORT, the clients'`,
    )
  if (!generate) return
  // Comments, so that the whole output can be the file.
  terminal.print("# In the gateway's .env:")
  terminal.print(`# MATRIX_HOMESERVER_URL=${env.MATRIX_HOMESERVER_URL ?? 'http://localhost:8008'}`)
  terminal.print(`# MATRIX_SERVER_NAME=${env.MATRIX_SERVER_NAME}`)
  terminal.print(`# MATRIX_AS_TOKEN=${tokens.asToken}`)
  terminal.print(`# MATRIX_HS_TOKEN=${tokens.hsToken}`)
}

function tokensOf({ MATRIX_AS_TOKEN: asToken, MATRIX_HS_TOKEN: hsToken }: Env) {
  if (asToken && hsToken) return { asToken, hsToken }
  throw new CommandError(
    `${asToken ? 'MATRIX_HS_TOKEN' : 'MATRIX_AS_TOKEN'}: is missing; --generate makes tokens and prints the settings with them`,
  )
}

/** BRIDGE_PORT's address, if the homeserver is on this machine or BRIDGE_HOST is one address. */
function ownUrl(env: Env): string {
  const homeserver = env.MATRIX_HOMESERVER_URL
  const isHere = homeserver === undefined || isLoopback(new URL(homeserver).hostname)
  if ((isHere || isOneAddress(env.BRIDGE_HOST)) && env.BRIDGE_PORT !== 0)
    return `http://${reachableHost(env.BRIDGE_HOST)}:${env.BRIDGE_PORT}`
  throw new CommandError(
    '--url: expected how the homeserver reaches BRIDGE_PORT of the gateway, such as http://meshgate:8081',
  )
}
