/** A mautrix bridge as a process of its own, with the files it needs in a folder of its own. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { answers, type Program, startProgram } from './program.ts'

const TOOLS = join(import.meta.dir, '..', '..', '.tools')
/** The real WhatsApp bridge; null unless `make e2e-tools` has built it. */
export const whatsappBridge = toolOrNull('mautrix-whatsapp/mautrix-whatsapp')

export interface BridgeAddress {
  folder: string
  port: number
  homeserver: { url: string; serverName: string }
  provisioningSecret: string
  /** Further settings of its configuration, such as `{ network: { proxy: '…' } }`, by section. */
  settings?: Record<string, Record<string, unknown>>
}

/** The bridge's own example configuration with what it needs to run here. @returns its registration, as YAML */
export function configureBridge(
  binary: string,
  { folder, port, homeserver, provisioningSecret, settings = {} }: BridgeAddress,
): string {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'config.yaml')
  run(binary, folder, '-e', '-c', file)
  // biome-ignore lint/suspicious/noExplicitAny: the example is the bridge's own
  const config = Bun.YAML.parse(readFileSync(file, 'utf8')) as any
  config.homeserver.address = homeserver.url
  config.homeserver.domain = homeserver.serverName
  config.appservice.address = `http://127.0.0.1:${port}`
  config.appservice.port = port
  config.database = {
    type: 'sqlite3-fk-wal',
    uri: `file:${join(folder, 'bridge.db')}?_txlock=immediate`,
  }
  config.bridge.permissions = { [homeserver.serverName]: 'user' }
  config.provisioning.shared_secret = provisioningSecret
  config.matrix.message_status_events = true
  config.logging = { min_level: 'debug', writers: [{ type: 'stdout', format: 'json' }] }
  for (const [section, values] of Object.entries(settings)) Object.assign(config[section], values)
  writeFileSync(file, JSON.stringify(config))
  const registration = join(folder, 'registration.yaml')
  run(binary, folder, '-g', '-c', file, '-r', registration)
  return readFileSync(registration, 'utf8')
}

/** Resolves when it takes part at its homeserver. */
export function startBridge(
  binary: string,
  { folder, port }: Pick<BridgeAddress, 'folder' | 'port'>,
): Promise<Program> {
  return startProgram({
    name: binary.split('/').at(-1) ?? binary,
    command: [binary, '-c', join(folder, 'config.yaml')],
    cwd: folder,
    isReady: () => answers(`http://127.0.0.1:${port}/_matrix/mau/ready`),
  })
}

function run(binary: string, folder: string, ...args: string[]): void {
  const { success, stdout, stderr } = Bun.spawnSync([binary, ...args], { cwd: folder })
  if (!success) throw new Error(`${binary} ${args.join(' ')}: ${stdout}${stderr}`)
}

function toolOrNull(path: string): string | null {
  const file = join(TOOLS, path)
  return existsSync(file) ? file : null
}
