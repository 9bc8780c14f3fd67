/**
 * A homeserver, the gateway and real bridges, attached by `meshgate bridge add`, as processes:
 * `await using deployment = await attachedGateway('synapse', { wa: { program } })`.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BridgeOptions, BridgeProgram } from './bridge-program.ts'
import { GatewayClient } from './gateway-client.ts'
import { type GatewayProcess, spawnGateway } from './gateway-process.ts'
import { MESHGATE } from './meshgate-program.ts'
import { hasPostgres } from './postgres.ts'
import { freePort } from './program.ts'
import { hasSynapse, type RateLimit, type Synapse, startSynapse } from './synapse.ts'
import { tempDir } from './temp-dir.ts'

/**
 * The gateway's own homeserver; Synapse with the gateway as application service; and Synapse that
 * only gives the gateway accounts, each with an access token and its own /sync.
 */
export const HOMESERVER_KINDS = ['embedded', 'synapse', 'synapse-sync'] as const
export type HomeserverKind = (typeof HOMESERVER_KINDS)[number]

/** @returns false unless this machine has the programs */
export function hasHomeserver(kind: HomeserverKind): boolean {
  return kind === 'embedded' || (hasSynapse && hasPostgres)
}

export interface Deployment extends AsyncDisposable {
  kind: HomeserverKind
  /** The gateway's working folder. */
  directory: string
  client: GatewayClient
  gateway: GatewayControl
  bridge(platform: string): BridgeProgram
  /** Undefined where the gateway's own homeserver is used. */
  synapse: Synapse | undefined
}

/** Runs the gateway's program, again and again on the same port and data. */
export interface GatewayControl {
  /** Sends SIGTERM. @returns the exit code */
  stop(): Promise<number>
  kill(): Promise<void>
  start(): Promise<void>
  /** Output since the last start. */
  output(): string
}

const CLIENT_ID = 'admin'
const CLIENT_SECRET = 'a secret of the tests'
const AS_TOKEN = 'as_token_of_the_tests'
const HS_TOKEN = 'hs_token_of_the_tests'

export interface DeploymentOptions {
  /** Settings of the gateway beside the defaults. */
  env?: Record<string, string>
  /** Limits for Synapse to keep. */
  rateLimits?: Record<string, RateLimit>
  /** Where the gateway finds Synapse; by default at Synapse's own URL. */
  homeserverUrl?: (synapse: Synapse) => Promise<string>
  /** Another way to run the gateway's program. */
  createGateway?: (directory: string, env: Record<string, string>) => GatewayControl & AsyncDisposable
}

/** @param platforms the bridge of each platform */
export async function attachedGateway(
  kind: HomeserverKind,
  platforms: Record<string, BridgeOptions>,
  { env = {}, rateLimits = {}, homeserverUrl, createGateway = runGateway }: DeploymentOptions = {},
): Promise<Deployment> {
  const stack = new AsyncDisposableStack()
  try {
    const directory = stack.use(tempDir()).path
    const port = freePort()
    const url = `http://127.0.0.1:${port}`
    const synapse =
      kind === 'embedded' ? undefined : stack.use(await startSynapse({ rateLimits, database: 'postgres' }))
    const settings = {
      PORT: String(port),
      BRIDGE_PORT: String(freePort()),
      CLIENT_ID,
      CLIENT_SECRET,
      SECRET_KEY: 'a secret key of the tests',
      SEND_INTERVAL_MS: '0',
      ...(synapse && homeserverSettings(kind, synapse)),
      ...env,
    }
    const bridges = new Map<string, BridgeProgram>()
    for (const [platform, options] of Object.entries(platforms)) {
      const folder = join(directory, 'data', 'bridges', platform)
      const bridge = stack.use(new BridgeProgram(folder, options))
      addBridge(platform, bridge, directory, settings)
      synapse?.addRegistration(platform, readFileSync(join(folder, 'registration.yaml'), 'utf8'))
      bridges.set(platform, bridge)
    }
    if (synapse) {
      if (kind === 'synapse')
        synapse.addRegistration('meshgate', meshgate(directory, settings, ['registration']))
      await synapse.restart()
    }
    const elsewhere = synapse && homeserverUrl ? { MATRIX_HOMESERVER_URL: await homeserverUrl(synapse) } : {}
    const gateway = stack.use(createGateway(directory, { ...settings, ...elsewhere }))
    await gateway.start()
    for (const bridge of bridges.values()) await bridge.start()
    const owned = stack.move()
    return {
      kind,
      directory,
      client: new GatewayClient({ url, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET }),
      gateway,
      synapse,
      bridge(platform) {
        const bridge = bridges.get(platform)
        if (!bridge) throw new Error(`there is no bridge for ${platform}`)
        return bridge
      },
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

function runGateway(directory: string, env: Record<string, string>): GatewayControl & AsyncDisposable {
  let running: GatewayProcess | undefined
  return {
    async start() {
      running = await spawnGateway({ directory, env, deadlineMs: 30_000 })
    },
    stop: async () => (await running?.stop()) ?? 0,
    kill: async () => running?.kill(),
    output: () => running?.output() ?? '',
    async [Symbol.asyncDispose]() {
      await running?.[Symbol.asyncDispose]()
    },
  }
}

/** A bridge that the test starts, so that it can end it, is attached by its example alone. */
function addBridge(
  platform: string,
  bridge: BridgeProgram,
  directory: string,
  env: Record<string, string>,
): void {
  const { program, settings = {}, supervised } = bridge.options
  const example = join(directory, `${platform}-example.yaml`)
  if (!supervised) bridge.writeExample(example)
  const source = supervised ? ['--command', program] : ['--example', example]
  const further = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])
  meshgate(directory, env, ['bridge', 'add', platform, '--url', bridge.url, ...source, ...further])
}

/** Runs a command of the gateway's program. @returns its output */
function meshgate(directory: string, env: Record<string, string>, args: string[]): string {
  const { success, stdout, stderr } = Bun.spawnSync([...MESHGATE, ...args], {
    cwd: directory,
    env: { PATH: '/usr/bin:/bin', HOME: directory, ...env },
  })
  if (!success) throw new Error(`meshgate ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout.toString()
}

function homeserverSettings(kind: HomeserverKind, synapse: Synapse): Record<string, string> {
  return {
    MATRIX_HOMESERVER_URL: synapse.url,
    MATRIX_SERVER_NAME: synapse.serverName,
    ...(kind === 'synapse'
      ? { MATRIX_AS_TOKEN: AS_TOKEN, MATRIX_HS_TOKEN: HS_TOKEN }
      : { MATRIX_REGISTRATION_SHARED_SECRET: synapse.registrationSharedSecret }),
  }
}
