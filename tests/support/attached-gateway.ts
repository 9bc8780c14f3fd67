/**
 * A whole deployment as processes of their own: a homeserver, the gateway, and real bridges attached to both.
 * `await using deployment = await attachedGateway({ homeserver: 'synapse', bridges: { wa: { program } } })`.
 */
import { join } from 'node:path'
import { identityNamespace } from '../../src/modules/identities/identities.ts'
import { type BridgeAddress, configureBridge, startBridge } from './bridge-program.ts'
import { GatewayClient } from './gateway-client.ts'
import { type GatewayProcess, spawnGateway } from './gateway-process.ts'
import { freePort, type Program } from './program.ts'
import { type Synapse, startSynapse } from './synapse.ts'
import { tempDir } from './temp-dir.ts'

export interface AttachedGateway extends AsyncDisposable {
  client: GatewayClient
  synapse: Synapse
  /** The running process of a bridge, by platform. */
  bridge(platform: string): Program
  /** What the gateway printed since its last start. */
  output(): string
}

export interface AttachedBridge extends Pick<BridgeAddress, 'settings'> {
  /** The program's file. */
  program: string
}

interface Options {
  homeserver: 'synapse'
  /** By platform. */
  bridges: Record<string, AttachedBridge>
  /** Settings of the gateway beside those that a test has anyway. */
  env?: Record<string, string>
}

const CLIENT_ID = 'admin'
const CLIENT_SECRET = 'a secret of the tests'
const AS_TOKEN = 'the as_token of the tests'.replaceAll(' ', '_')
const HS_TOKEN = 'the hs_token of the tests'.replaceAll(' ', '_')
const PROVISIONING_SECRET = 'the provisioning secret of the tests'

export async function attachedGateway({ bridges, env = {} }: Options): Promise<AttachedGateway> {
  const stack = new AsyncDisposableStack()
  try {
    const folder = stack.use(tempDir())
    const port = freePort()
    const url = `http://127.0.0.1:${port}`
    const synapse = stack.use(await startSynapse())
    synapse.addRegistration('meshgate', gatewayRegistration(url, synapse.serverName))
    const places = Object.entries(bridges).map(([platform, { program, settings = {} }]) => {
      const place = {
        settings,
        folder: join(folder.path, platform),
        port: freePort(),
        homeserver: synapse,
        provisioningSecret: PROVISIONING_SECRET,
      }
      synapse.addRegistration(platform, configureBridge(program, place))
      return { platform, program, ...place }
    })
    await synapse.restart()
    const programs = new Map<string, Program>()
    for (const place of places) {
      programs.set(place.platform, stack.use(await startBridge(place.program, place)))
    }
    const gateway: GatewayProcess = stack.use(
      await spawnGateway({
        env: {
          PORT: String(port),
          CLIENT_ID,
          CLIENT_SECRET,
          SECRET_KEY: 'a secret key of the tests',
          MATRIX_HOMESERVER_URL: synapse.url,
          MATRIX_SERVER_NAME: synapse.serverName,
          MATRIX_AS_TOKEN: AS_TOKEN,
          MATRIX_HS_TOKEN: HS_TOKEN,
          SEND_INTERVAL_MS: '0',
          ...bridgeSettings(places),
          ...env,
        },
      }),
    )
    const owned = stack.move()
    return {
      client: new GatewayClient({ url, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET }),
      synapse,
      bridge(platform) {
        const program = programs.get(platform)
        if (!program) throw new Error(`there is no bridge for ${platform}`)
        return program
      },
      output: gateway.output,
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

function bridgeSettings(places: { platform: string; port: number }[]): Record<string, string> {
  const settings: Record<string, string> = { BRIDGES: places.map(({ platform }) => platform).join(',') }
  for (const { platform, port } of places) {
    settings[`BRIDGE_${platform.toUpperCase()}_URL`] = `http://127.0.0.1:${port}`
    settings[`BRIDGE_${platform.toUpperCase()}_SECRET`] = PROVISIONING_SECRET
  }
  return settings
}

/** What lets the gateway speak for all its users at an external homeserver. */
function gatewayRegistration(url: string, serverName: string): string {
  return JSON.stringify({
    id: 'meshgate',
    url,
    as_token: AS_TOKEN,
    hs_token: HS_TOKEN,
    sender_localpart: 'meshgate',
    rate_limited: false,
    namespaces: { users: [{ regex: identityNamespace(serverName), exclusive: true }] },
    receive_ephemeral: true,
    'de.sorunome.msc2409.push_ephemeral': true,
  })
}
