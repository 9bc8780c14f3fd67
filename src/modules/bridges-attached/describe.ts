/** An attached bridge in words: how it is started, and how its program is doing. */
import { knownNetwork } from '../../bridges/setup/networks.ts'
import { readProcessRecord, recordedProcesses } from '../../runtime/supervised-process.ts'
import type { AttachedBridge } from './attached-bridges.ts'

/** @param program where it is known better than by the network's name */
export function startCommandOf(
  { platform, dir }: Pick<AttachedBridge, 'platform' | 'dir'>,
  program?: string,
) {
  return `cd ${dir} && ${program ?? knownNetwork(platform)?.program ?? '<its program>'} -c config.yaml`
}

/** What the gateway that runs the program notes in the bridge's folder. */
export function describeProcess(dir: string): string {
  const record = readProcessRecord(dir)
  if (!record) return 'not running'
  const { restarts, lastExit } = record
  const [pid] = recordedProcesses(dir)
  const state = pid === undefined ? 'not running' : `process ${pid}`
  if (lastExit === null) return state
  return `${state}, ${restarts} ${restarts === 1 ? 'restart' : 'restarts'}, last: ${lastExit}`
}
