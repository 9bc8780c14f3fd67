/** `meshgate bridge update` and `restart`: a running gateway does it; these tell how it went. */
import { rmSync } from 'node:fs'
import { knownNetwork } from '../../bridges/setup/networks.ts'
import { isDataDirInUse } from '../../db/lock.ts'
import { systemClock } from '../../lib/clock.ts'
import type { AttachedBridge, AttachedBridges } from '../../modules/bridges-attached/bridges-attached.ts'
import { readProcessRecord, recordedProcesses } from '../../runtime/supervised-process.ts'
import { withBridges } from '../database.ts'
import { CommandError, type Terminal } from '../terminal.ts'
import { type FetchOptions, fetchedProgram } from './fetched-program.ts'

const LOOK_MS = 200
/** Longer than a running gateway takes to notice and to end a program, in milliseconds. */
const RESTART_WITHIN_MS = 15_000

export async function update(terminal: Terminal, platform: string, options: FetchOptions): Promise<void> {
  await withBridges(terminal, async (bridges, { config, db }) => {
    const bridge = await runByUs(bridges, platform)
    if (bridge.update?.failure === null)
      throw new CommandError(`platform: ${bridge.update.version} is being tried: wait until that has an end`)
    const { dir, version } = bridge
    const fetched = await fetchedProgram(terminal, platform, knownNetwork(platform), options, { dir, db })
    if (fetched.file === bridge.command?.[0]) {
      terminal.print(`the ${platform} bridge runs ${fetched.version} already`)
      return
    }
    const pending = { command: [fetched.file], version: fetched.version, failure: null }
    await bridges.replace({ ...bridge, update: pending, updatedAt: systemClock.now() })
    const back = version ?? bridge.command?.[0]
    if (!isDataDirInUse(config.data.dir)) {
      terminal.print(
        `The gateway runs ${fetched.version} when it starts, and goes back to ${back} if it doesn't become ready.`,
      )
      return
    }
    terminal.print(`waiting for ${fetched.version} to become ready, for three minutes at most …`)
    const failure = await outcome(bridges, platform)
    if (failure === null) {
      terminal.print(`the ${platform} bridge runs ${fetched.version}`)
      return
    }
    rmSync(fetched.file, { force: true })
    throw new CommandError(
      `${fetched.version} didn't become ready: ${failure}; the bridge runs ${back} again (meshgate bridge logs ${platform} has its output)`,
    )
  })
}

/** Waits for the gateway. @returns why it went back to the program before */
async function outcome(bridges: AttachedBridges, platform: string): Promise<string | null> {
  for (;;) {
    const row = await bridges.find(platform)
    if (!row) return 'the bridge was taken away'
    if (row.update === null || row.update.failure !== null) return row.update?.failure ?? null
    await systemClock.sleep(LOOK_MS)
  }
}

export async function restart(terminal: Terminal, platform: string): Promise<void> {
  await withBridges(terminal, async (bridges, { config }) => {
    const bridge = await runByUs(bridges, platform)
    if (!isDataDirInUse(config.data.dir))
      throw new CommandError(`the gateway isn't running, and starts the ${platform} bridge when it does`)
    const [before] = recordedProcesses(bridge.dir)
    // Whoever restarts it knows of an update that failed.
    const update = bridge.update?.failure ? null : bridge.update
    await bridges.replace({ ...bridge, update, updatedAt: systemClock.now() })
    const deadline = systemClock.now() + RESTART_WITHIN_MS
    while (systemClock.now() < deadline) {
      const [pid] = recordedProcesses(bridge.dir)
      if (pid !== undefined && pid !== before) {
        terminal.print(`restarted the ${platform} bridge (process ${pid})`)
        return
      }
      await systemClock.sleep(LOOK_MS)
    }
    const ended = readProcessRecord(bridge.dir)?.lastExit
    throw new CommandError(`the ${platform} bridge doesn't start${ended ? ` (${ended})` : ''}`)
  })
}

/** @throws CommandError for a bridge that isn't there, or that somebody else runs */
async function runByUs(bridges: AttachedBridges, platform: string): Promise<AttachedBridge> {
  const bridge = await bridges.find(platform)
  if (!bridge) throw new CommandError(`platform: there is no attached bridge "${platform}"`)
  if (bridge.command) return bridge
  throw new CommandError(`platform: the gateway doesn't run the ${platform} bridge at ${bridge.url}`)
}
