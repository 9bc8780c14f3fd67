/** Ends a phase: lets messages arrive, checks that no row still waits, and counts both ends. */
import { Database } from 'bun:sqlite'
import {
  countIncoming,
  countOutgoing,
  type IncomingCount,
  type OutgoingCount,
  type Whereabouts,
} from './count.ts'
import { type ActCount, countActs } from './count-acts.ts'
import type { ShiftedClock } from './faults/clock.ts'
import type { GatewayUnderTest } from './gateway.ts'
import type { FaultyEndpoint } from './load/endpoint.ts'
import type { Load } from './load/load.ts'
import { added, type Phase } from './phase.ts'
import { isEmpty, messageFates, messageRows, type StuckRows, stuckRows } from './stuck.ts'

export interface Ended {
  gateway: GatewayUnderTest
  databaseFile: string
  clock: ShiftedClock | null
  load: Load
  endpoints: readonly FaultyEndpoint[]
  /** Left out with the sandbox, where everything is one program. */
  whereabouts?: Whereabouts
  tell: Phase['tell']
}

export interface Conclusion {
  answers: Record<string, number>
  outgoing: OutgoingCount
  incoming: IncomingCount
  /** Null where nobody acts on messages. */
  acts: ActCount | null
  stuck: StuckRows
  problems: string[]
  /** Losses and repeats of programs that aren't ours. */
  notes: string[]
}

/** Messages on their way when the faults end must arrive within this time. */
const SETTLE_MS = 180_000
/** Deliveries that failed twice wait for minutes, then hours; they are made due this many times. */
const DUE_STEPS = 6
const DUE_STEP_MS = 30 * 3_600_000
const STEP_DEADLINE_MS = 20_000
const LOOK_MS = 200

/** Call when the load has ended and nothing misbehaves any more. */
export async function conclude(ended: Ended): Promise<Conclusion> {
  const { gateway, databaseFile, load, endpoints, tell } = ended
  const problems: string[] = []
  const notes: string[] = []
  const problem = (line: string) => problems.push(line)
  const telling = { problem, note: (line: string) => notes.push(line) }
  const whereabouts = ended.whereabouts ?? null
  tell('waiting for what is on its way')
  const stuck = await settle(ended)
  if (!isEmpty(stuck)) problem(`something is stuck: ${JSON.stringify(stuck)}`)
  tell('counting')
  const fates = messageFates(databaseFile)
  const outgoing = await countOutgoing(load.outgoing, id => fates.get(id), whereabouts, telling)
  const incoming = await countIncoming(load.incoming, endpoints, whereabouts, telling)
  const acts = load.acts.length > 0 ? countActs(databaseFile, load.acts, problem) : null
  problems.push(...gateway.failures, ...[...load.outgoing, ...load.acts].flatMap(({ wrong }) => wrong))
  const answers = added(load.outgoing.map(chat => chat.answers))
  return { answers, outgoing, incoming, acts, stuck, problems, notes }
}

/** @returns the rows that remain */
async function settle({ gateway, databaseFile, clock, tell }: Ended): Promise<StuckRows> {
  const rows = () => stuckRows(databaseFile)
  async function until(isOver: (rows: StuckRows) => boolean, withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs
    while (!isOver(rows()) && performance.now() < deadline) await Bun.sleep(LOOK_MS)
  }
  await until(() => isEmpty(messageRows(databaseFile)), SETTLE_MS)
  for (let step = 0; step < DUE_STEPS && !isEmpty(rows()); step++) {
    tell(`what waits for hours is made due: ${JSON.stringify(rows())}`)
    await gateway.terminate()
    // The clock jump makes deliveries due as time would; without such a clock, an UPDATE does.
    if (clock) clock.jump(DUE_STEP_MS)
    else makeDue(databaseFile)
    await gateway.start()
    await until(isEmpty, STEP_DEADLINE_MS)
  }
  return rows()
}

function makeDue(databaseFile: string): void {
  const database = new Database(databaseFile)
  database.run('UPDATE delivery_lanes SET due_at = 0')
  database.close()
}
