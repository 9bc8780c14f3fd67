/** `meshgate bridge list`: prints the attached bridges and their current state. */
import { createBridgeProbe, type WhoamiOutcome } from '../../bridges/bridge-probe.ts'
import type { Config, Secrets } from '../../config/index.ts'
import type { AttachedBridge } from '../../modules/bridges-attached/bridges-attached.ts'
import { describeProcess } from '../../modules/bridges-attached/bridges-attached.ts'
import { withBridges } from '../database.ts'
import { printTable } from '../table.ts'
import type { Terminal } from '../terminal.ts'

const HEADER = ['platform', 'url', 'driver', 'state', 'devices', 'version', 'process', 'files']

export async function list(terminal: Terminal): Promise<void> {
  await withBridges(terminal, async (bridges, { config, secrets }) => {
    const attached = await bridges.list()
    const rows = [
      ...attached.map(bridge => ({
        platform: bridge.platform,
        url: config.bridges.find(({ platform }) => platform === bridge.platform)?.url ?? bridge.url,
        secret: secrets.bridges.get(bridge.platform) ?? bridge.secret,
        version: versionOf(bridge),
        process: bridge.command ? describeProcess(bridge.dir) : '-',
        files: bridge.dir,
      })),
      ...ofSettings(attached, config, secrets),
    ]
    const lines = await Promise.all(
      rows.map(async ({ platform, url, secret, version, process, files }) => {
        const { driver, state } = await lookAt(url, secret, `@meshgate:${config.matrix.serverName}`)
        const devices = told(await bridges.deviceStates(platform))
        return [platform, url, driver, state, devices, version, process, files]
      }),
    )
    printTable(terminal, HEADER, lines)
  })
}

/** Bridges named only in BRIDGES. */
function ofSettings(attached: readonly AttachedBridge[], config: Config, secrets: Secrets) {
  return config.bridges
    .filter(({ platform }) => !attached.some(bridge => bridge.platform === platform))
    .map(({ platform, url }) => ({
      platform,
      url,
      secret: secrets.bridges.get(platform) ?? null,
      version: '-',
      process: '-',
      files: '- (BRIDGES)',
    }))
}

function versionOf({ version, update }: AttachedBridge): string {
  if (update === null) return version ?? '-'
  return `${version ?? '-'} (${update.version} ${update.failure === null ? 'is tried' : 'failed'})`
}

function told(states: ReadonlyMap<string, number>): string {
  return [...states].map(([state, count]) => `${count} ${state}`).join(', ') || 'none'
}

async function lookAt(url: string, secret: string | null, userId: string) {
  const outcome: WhoamiOutcome = await createBridgeProbe(url).whoami(secret ?? '', userId)
  switch (outcome.kind) {
    case 'accepted':
      return { driver: 'provisioning API', state: 'running' }
    case 'no_api':
      return { driver: 'bot commands', state: 'running' }
    case 'refused':
      return { driver: 'provisioning API', state: 'refuses our secret' }
    case 'failed':
      return { driver: secret === null ? 'bot commands' : 'provisioning API', state: 'unreachable' }
  }
}
