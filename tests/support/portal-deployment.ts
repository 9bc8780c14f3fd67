/**
 * Synapse, a bridge without a network, and a gateway process that gets events in one of two ways:
 * `await using deployment = await portalDeployment({ source: 'sync' })`.
 */
import { identityNamespace } from '../../src/modules/tenants/identities.ts'
import { type Account, GatewayClient } from './gateway-client.ts'
import { type GatewayProcess, spawnGateway } from './gateway-process.ts'
import { MasStub } from './mas-stub.ts'
import { PortalBridge } from './portal-bridge.ts'
import { freePort } from './program.ts'
import { type Synapse, type SynapseOptions, startSynapse } from './synapse.ts'
import { tempDir } from './temp-dir.ts'
import { waitFor } from './wait-for.ts'

/** How the gateway gets events: pushed to it, or by /sync (registration secret, or MAS). */
export type Source = 'appservice' | 'sync' | MasStub
export const SOURCES = ['appservice', 'sync'] as const

const CLIENT_ID = 'admin'
const CLIENT_SECRET = 'a secret of the tests'
export const SECRET_KEY = 'a secret key of the tests'
const AS_TOKEN = 'the_as_token_of_the_gateway'
const HS_TOKEN = 'the_hs_token_of_the_gateway'

export interface PortalDeployment extends AsyncDisposable {
  synapse: Synapse
  bridge: PortalBridge
  client: GatewayClient
  /** The current process. */
  gateway(): GatewayProcess
  /** Starts the stopped or killed gateway again, on the same data and port. */
  startGateway(): Promise<void>
  /** Restarts the homeserver with this as_token registered; by default the gateway's own. */
  registerGateway(asToken?: string): Promise<void>
  /** A new account with a known device. @returns the account and its Matrix user id */
  account(): Promise<{ account: Account; userId: string }>
  /** The homeserver's state in the gateway's /ready. */
  homeserverState(): Promise<string>
  /** Calls Synapse's admin API as a server admin. @throws Error if refused */
  admin(method: string, path: string, body?: object): Promise<unknown>
}

interface PortalOptions extends SynapseOptions {
  source: Source
  /** Settings of the gateway beside the defaults. */
  env?: Record<string, string>
  /** The gateway's program; by default `MESHGATE`. */
  command?: string[]
}

export async function portalDeployment({
  source,
  env = {},
  command,
  ...options
}: PortalOptions): Promise<PortalDeployment> {
  const stack = new AsyncDisposableStack()
  try {
    const serverName = 'synapse.test'
    const port = freePort()
    const url = `http://127.0.0.1:${port}`
    const bridgePort = freePort()
    const pushUrl = `http://127.0.0.1:${bridgePort}`
    const folder = stack.use(tempDir())
    const bridge = stack.use(new PortalBridge(serverName))
    const registrations = {
      portal: bridge.registration,
      ...(source === 'appservice' ? { gateway: gatewayRegistration(pushUrl, serverName) } : {}),
    }
    const synapse = stack.use(await startSynapse({ ...options, serverName, registrations }))
    bridge.connect(synapse.url)
    const admin = synapseAdmin(synapse)
    if (source instanceof MasStub) source.issueToken = (user, device) => logIn(synapse, admin, user, device)
    const settings = {
      PORT: String(port),
      BRIDGE_PORT: String(bridgePort),
      CLIENT_ID,
      CLIENT_SECRET,
      SECRET_KEY,
      MATRIX_HOMESERVER_URL: synapse.url,
      MATRIX_SERVER_NAME: serverName,
      ...accountSettings(source, synapse),
      SEND_INTERVAL_MS: '0',
      ...bridge.settings,
      ...env,
    }
    const program = command === undefined ? {} : { command }
    const spawn = () =>
      spawnGateway({ directory: folder.path, env: settings, deadlineMs: 30_000, ...program })
    let gateway = await spawn()
    stack.defer(() => gateway[Symbol.asyncDispose]())
    const client = new GatewayClient({ url, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET })
    const owned = stack.move()
    return {
      synapse,
      bridge,
      client,
      gateway: () => gateway,
      async startGateway() {
        gateway = await spawn()
      },
      async registerGateway(asToken) {
        synapse.addRegistration('gateway', gatewayRegistration(pushUrl, serverName, asToken))
        await synapse.restart()
      },
      async account() {
        const account = await client.account()
        await waitFor(async () => (await account.devices()).some(device => device.state === 'connected'), {
          what: 'the device',
          deadlineMs: 20_000,
        })
        const tokens = await client.admin.get<{ matrix_username: string }[]>('/api/v1/tokens')
        return { account, userId: tokens.body.at(-1)?.matrix_username ?? '' }
      },
      async homeserverState() {
        const answer = await fetch(`${url}/ready`)
        return ((await answer.json()) as { checks: Record<string, string> }).checks.homeserver ?? ''
      },
      admin,
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

function gatewayRegistration(url: string, serverName: string, asToken = AS_TOKEN): string {
  return JSON.stringify({
    id: 'meshgate',
    url,
    as_token: asToken,
    hs_token: HS_TOKEN,
    sender_localpart: 'meshgate',
    rate_limited: false,
    namespaces: { users: [{ regex: identityNamespace(serverName), exclusive: true }] },
    receive_ephemeral: true,
  })
}

function accountSettings(source: Source, synapse: Synapse): Record<string, string> {
  if (source === 'appservice') return { MATRIX_AS_TOKEN: AS_TOKEN, MATRIX_HS_TOKEN: HS_TOKEN }
  if (source === 'sync') return { MATRIX_REGISTRATION_SHARED_SECRET: synapse.registrationSharedSecret }
  const { url, clientId, clientSecret } = source
  return { MAS_URL: url, ADMIN_CLIENT_ID: clientId, ADMIN_CLIENT_SECRET: clientSecret }
}

/** Calls Synapse's admin API; the first call creates the admin. */
function synapseAdmin(synapse: Synapse): PortalDeployment['admin'] {
  let adminToken: Promise<string> | undefined
  return async (method, path, body) => {
    adminToken ??= registerAdmin(synapse)
    const response = await fetch(`${synapse.url}/_synapse/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${await adminToken}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const answer = await response.json()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`)
    return answer
  }
}

/** Creates the user if need be. @returns a token that Synapse accepts */
async function logIn(
  { url, serverName }: Synapse,
  admin: PortalDeployment['admin'],
  user: string,
  deviceId: string,
): Promise<string> {
  const password = `the password of ${user}`
  await admin('PUT', `/v2/users/@${user}:${serverName}`, { password, logout_devices: false })
  const answer = await fetch(`${url}/_matrix/client/v3/login`, {
    method: 'POST',
    body: JSON.stringify({
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user },
      password,
      device_id: deviceId,
    }),
  })
  return ((await answer.json()) as { access_token: string }).access_token
}

/** Done by hand, to rely on nothing under test. @returns a server admin's access token */
async function registerAdmin({ url, registrationSharedSecret }: Synapse): Promise<string> {
  const endpoint = `${url}/_synapse/admin/v1/register`
  const { nonce } = (await (await fetch(endpoint)).json()) as { nonce: string }
  const mac = new Bun.CryptoHasher('sha1', registrationSharedSecret)
    .update([nonce, 'root', 'the password of root', 'admin'].join('\0'))
    .digest('hex')
  const body = { nonce, username: 'root', password: 'the password of root', admin: true, mac }
  const answer = await fetch(endpoint, { method: 'POST', body: JSON.stringify(body) })
  return ((await answer.json()) as { access_token: string }).access_token
}
