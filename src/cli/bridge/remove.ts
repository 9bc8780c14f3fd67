/** `meshgate bridge remove`. */
import { isDataDirInUse } from '../../db/lock.ts'
import { systemClock } from '../../lib/clock.ts'
import { detachBridge, removeBridgeFiles } from '../../modules/bridges-attached/attach.ts'
import { createAttachedBridgeRepository } from '../../modules/bridges-attached/repository.ts'
import { createDeviceRepository } from '../../modules/devices/device-repository.ts'
import { recordedProcesses } from '../../runtime/supervised-process.ts'
import { withBridges } from '../database.ts'
import type { Terminal } from '../terminal.ts'

/** A running gateway notices within a second and gives the program three more, in ms. */
const END_PATIENCE_MS = 6_000
const LOOK_MS = 50

/** Works also with a SECRET_KEY that can't open the bridge's tokens: it doesn't need them. */
export async function remove(terminal: Terminal, platform: string, keepFiles: boolean): Promise<void> {
  await withBridges(terminal, async (_, { config, db }) => {
    const isGatewayRunning = isDataDirInUse(config.data.dir)
    const dir = await detachBridge(platform, {
      bridges: createAttachedBridgeRepository(db),
      devices: createDeviceRepository(db),
      isGatewayRunning,
      clock: systemClock,
    })
    await untilEnded(dir)
    if (!keepFiles) removeBridgeFiles(dir)
    terminal.print(`took the ${platform} bridge away${keepFiles ? `; its files stay in ${dir}` : ''}`)
    if (isGatewayRunning && config.sandbox.some(simulated => simulated === platform))
      terminal.print(`Restart the gateway to have the simulated ${platform} again.`)
    if (config.matrix.homeserverUrl !== undefined)
      terminal.print("Take its registration out of the homeserver's configuration, and restart that.")
  })
}

/** Waits, because a program run by the gateway still writes to its files. */
async function untilEnded(dir: string): Promise<void> {
  const deadline = systemClock.now() + END_PATIENCE_MS
  while (recordedProcesses(dir).length > 0 && systemClock.now() < deadline) await systemClock.sleep(LOOK_MS)
}
