/** Whether the gateway can do its work, part by part. */
import type { BridgeProcesses } from '../bridges/processes.ts'
import type { Db } from '../db/open.ts'
import { messageOf } from '../domain/errors.ts'
import type { Readiness } from '../http/services.ts'
import type { Supervisor } from '../runtime/supervisor.ts'

/** How a part is doing that isn't just well or broken. */
export interface PartState {
  /** Whether the gateway can do its work all the same. */
  isReady: boolean
  /** `ok`, or what is wrong. */
  told: string
}

export function readinessOf(
  db: Db,
  supervisor: Supervisor,
  homeserver: PartState,
  processes: BridgeProcesses,
): Readiness {
  const database = databaseState(db)
  const workers = supervisor
    .health()
    .map(
      ({ name, state, lastError }) =>
        [name, state === 'running' ? 'ok' : `${state}: ${lastError ?? ''}`] as const,
    )
  // Shown, but no reason to send nobody here: the other platforms work.
  const bridges = [...processes.states()].map(
    ([platform, { pid, lastExit }]) =>
      [`bridge-${platform}`, pid === null ? `restarting: ${lastExit ?? 'not started yet'}` : 'ok'] as const,
  )
  return {
    ready: database === 'ok' && homeserver.isReady && workers.every(([, state]) => state === 'ok'),
    checks: { database, homeserver: homeserver.told, ...Object.fromEntries([...workers, ...bridges]) },
  }
}

function databaseState(db: Db): string {
  try {
    db.connection.query('SELECT 1').get()
    const trouble = db.committer.trouble()
    return trouble === null ? 'ok' : messageOf(trouble)
  } catch (error) {
    return messageOf(error)
  }
}
