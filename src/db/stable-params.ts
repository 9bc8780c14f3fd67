/**
 * Placeholders for statements that join, sort or limit. SQLite plans by the values bound to them
 * (STAT4) and prepares the statement anew for each other value: 5 to 35 µs, many times its run. It
 * doesn't look into an expression.
 */
import { type Placeholder, type SQL, sql } from 'drizzle-orm'

export function textParam(name: string): SQL {
  return sql`(${sql.placeholder(name)} || '')`
}

export function numberParam(name: string): SQL {
  return sql`(${sql.placeholder(name)} + 0)`
}

/** For `limit()`, whose type only accepts placeholders. */
export function limitParam(name: string): Placeholder {
  return numberParam(name) as unknown as Placeholder
}

/** `limit(1)` would bind the number. */
export const ONE = sql.raw('1') as unknown as Placeholder
