/**
 * Placeholders for statements that join, sort or limit. SQLite looks at what is bound to them when it plans (STAT4), and so prepares such a
 * statement anew whenever something else is bound: 5 to 35 µs each time, many times what running it costs. Into an expression it doesn't look.
 */
import { type Placeholder, type SQL, sql } from 'drizzle-orm'

export function textParam(name: string): SQL {
  return sql`(${sql.placeholder(name)} || '')`
}

export function numberParam(name: string): SQL {
  return sql`(${sql.placeholder(name)} + 0)`
}

/** For `limit()`, whose type knows placeholders alone. */
export function limitParam(name: string): Placeholder {
  return numberParam(name) as unknown as Placeholder
}

/** `limit(1)` would bind the number. */
export const ONE = sql.raw('1') as unknown as Placeholder
