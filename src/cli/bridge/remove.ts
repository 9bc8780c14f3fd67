/** `meshgate bridge remove`. */
import { systemClock } from '../../lib/clock.ts'
import { removeBridgeFiles } from '../../modules/attached-bridges/attach.ts'
import { CommandError, type Terminal } from '../terminal.ts'
import { withBridges } from './with-bridges.ts'

export async function remove(terminal: Terminal, platform: string, keepFiles: boolean): Promise<void> {
  await withBridges(terminal, async (bridges, { config }) => {
    const bridge = await bridges.find(platform)
    if (!bridge) throw new CommandError(`platform: there is no attached bridge "${platform}"`)
    await bridges.remove(platform, 'the bridge was taken away', systemClock.now())
    if (!keepFiles) removeBridgeFiles(bridge.dir)
    terminal.print(`took the ${platform} bridge away${keepFiles ? `; its files stay in ${bridge.dir}` : ''}`)
    if (config.matrix.homeserverUrl !== undefined)
      terminal.print('Take its registration out of the homeserver’s configuration, and restart that.')
  })
}
