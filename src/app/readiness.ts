/** Whether the gateway can do its work, part by part. */
import type { Db } from '../db/open.ts'
import type { Readiness } from '../http/services.ts'
import type { Supervisor } from '../runtime/supervisor.ts'

export function readinessOf(db: Db, supervisor: Supervisor): Readiness {
  const checks: Record<string, string> = { database: databaseState(db) }
  for (const { name, state, lastError } of supervisor.health()) {
    checks[name] = state === 'running' ? 'ok' : `${state}: ${lastError ?? ''}`
  }
  return { ready: Object.values(checks).every(state => state === 'ok'), checks }
}

function databaseState(db: Db): string {
  try {
    db.connection.query('SELECT 1').get()
    return 'ok'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
