/** Figure 1: durably accepted sends a second, beside the bare minimum; pacing delays sending. */
import { tempDir } from '../../support/temp-dir.ts'
import { runTask, startServer } from '../child.ts'
import { type Bench, type Figure, Malfunction, type Row, whole } from '../figure.ts'
import { assertNoneRefused, openReadOnly, startLinkedGateway } from '../gateway.ts'
import type { SendsResult, SendsTask } from '../processes/sends.ts'
import { median } from '../statistics.ts'
import { processorUs } from '../usage.ts'

const CONNECTIONS = 64
const CONTACTS = 16
const LEAST_PER_SECOND = 10_000
const LEAST_RATIO = 0.5
const MOST_PROCESSOR_RATIO = 2.5

/** The default interval for networks that ban bots. */
const PACED = { SEND_INTERVAL_MS: '8000' }

export const accepts: Figure = { number: 1, title: 'durable accepts', run }

async function run({ program, quick, tell }: Bench): Promise<Row[]> {
  using folder = tempDir()
  await using gateway = await startLinkedGateway(program, PACED)
  const script = import.meta.resolve('../processes/baseline-server.ts')
  await using baseline = await startServer(script, { databaseFile: folder.file('baseline.db') })
  const contacts = Array.from({ length: CONTACTS }, (_none, index) => String(491_510_000_000 + index))
  const common = { token: gateway.token, path: gateway.sendPath, connections: CONNECTIONS, contacts }
  const load = async (url: string, elapsedMs: number) => {
    const result = await runTask<SendsTask, SendsResult>(import.meta.resolve('../processes/sends.ts'), {
      url,
      ...common,
      until: { elapsedMs },
    })
    assertNoneRefused(result.refused)
    return result
  }

  const bare = { pid: baseline.pid, url: baseline.firstLine }
  const warmUpMs = quick ? 1_000 : 3_000
  await load(bare.url, warmUpMs)
  let acknowledged = (await load(gateway.url, warmUpMs)).accepted
  /** @returns what the sends came to, and the server's processor time for each, in microseconds */
  const round = async (server: { pid: number; url: string }): Promise<Round> => {
    const usedBefore = processorUs(server.pid)
    const sends = await load(server.url, quick ? 2_000 : 6_000)
    return { ...sends, usedUs: (processorUs(server.pid) - usedBefore) / sends.accepted }
  }
  const rounds: { bare: Round; subject: Round }[] = []
  while (rounds.length < (quick ? 2 : 5)) {
    const both = { bare: await round(bare), subject: await round(gateway) }
    rounds.push(both)
    acknowledged += both.subject.accepted
    tell(`round ${rounds.length}: baseline ${shown(both.bare)}; meshgate ${shown(both.subject)}`)
  }
  assertAllWritten(gateway, acknowledged)
  if ((await gateway.stop()) !== 0) throw new Malfunction('it did not stop as asked')
  return rowsOf(rounds)
}

type Round = SendsResult & { usedUs: number }

function rowsOf(rounds: readonly { bare: Round; subject: Round }[]): Row[] {
  const medianOf = (value: (both: { bare: Round; subject: Round }) => number) => median(rounds.map(value))
  const perSecond = medianOf(({ subject }) => subject.perSecond)
  const barePerSecond = medianOf(({ bare }) => bare.perSecond)
  const rates = medianOf(({ bare, subject }) => subject.perSecond / bare.perSecond)
  const used = medianOf(({ subject }) => subject.usedUs)
  const bareUsed = medianOf(({ bare }) => bare.usedUs)
  const times = medianOf(({ bare, subject }) => subject.usedUs / bare.usedUs)
  const p99 = medianOf(({ subject }) => subject.p99Ms)
  return [
    {
      figure: '1 durable accepts of a text send, 64 connections',
      measured: `${whole(perSecond)}/s (p99 ${p99.toFixed(1)} ms)`,
      limit: `>= ${whole(LEAST_PER_SECOND)}/s`,
      met: perSecond >= LEAST_PER_SECOND,
    },
    {
      figure: '1 processor time of each beside bare Bun and SQLite with group commit',
      measured: `${times.toFixed(2)} x: ${whole(used)} us of ${whole(bareUsed)} us`,
      limit: `<= ${MOST_PROCESSOR_RATIO} x`,
      met: times <= MOST_PROCESSOR_RATIO,
    },
    {
      figure: '1 rate beside the same',
      measured: `${rates.toFixed(2)} of ${whole(barePerSecond)}/s`,
      limit: `>= ${LEAST_RATIO}`,
      met: rates >= LEAST_RATIO,
    },
  ]
}

/** Another connection sees only committed rows: it must see one for each 200. */
function assertAllWritten(gateway: Parameters<typeof openReadOnly>[0], acknowledged: number): void {
  using database = openReadOnly(gateway)
  const row = database.query<{ count: number }, []>('SELECT count(*) AS count FROM messages').get()
  if (row?.count !== acknowledged) {
    throw new Malfunction(`${acknowledged} sends were accepted, and ${row?.count} are in the database`)
  }
}

function shown({ perSecond, p50Ms, p99Ms, usedUs }: Round): string {
  const latency = `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`
  return `${whole(perSecond)}/s (${latency}, ${whole(usedUs)} us of processor each)`
}
