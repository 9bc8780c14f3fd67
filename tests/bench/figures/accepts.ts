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

  const warmUpMs = quick ? 1_000 : 3_000
  await load(baseline.firstLine, warmUpMs)
  let acknowledged = (await load(gateway.url, warmUpMs)).accepted
  const rounds: { baseline: SendsResult; subject: SendsResult; processorUs: number }[] = []
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    const elapsedMs = quick ? 2_000 : 10_000
    const bare = await load(baseline.firstLine, elapsedMs)
    const usedBefore = processorUs(gateway.pid)
    const subject = await load(gateway.url, elapsedMs)
    const usedEach = (processorUs(gateway.pid) - usedBefore) / subject.accepted
    rounds.push({ baseline: bare, subject, processorUs: usedEach })
    acknowledged += subject.accepted
    tell(
      `round ${round + 1}: baseline ${shown(bare)}; meshgate ${shown(subject)}, ${whole(usedEach)} us of processor each`,
    )
  }
  assertAllWritten(gateway, acknowledged)
  if ((await gateway.stop()) !== 0) throw new Malfunction('it did not stop as asked')

  const perSecond = median(rounds.map(({ subject }) => subject.perSecond))
  const barePerSecond = median(rounds.map(round => round.baseline.perSecond))
  const ratio = median(rounds.map(round => round.subject.perSecond / round.baseline.perSecond))
  const p99 = median(rounds.map(({ subject }) => subject.p99Ms))
  const used = median(rounds.map(round => round.processorUs))
  return [
    {
      figure: '1 durable accepts of a text send, 64 connections',
      measured: `${whole(perSecond)}/s (p99 ${p99.toFixed(1)} ms, ${whole(used)} us of processor each)`,
      limit: `>= ${whole(LEAST_PER_SECOND)}/s`,
      met: perSecond >= LEAST_PER_SECOND,
    },
    {
      figure: '1 the same beside bare Bun and SQLite with group commit',
      measured: `${ratio.toFixed(2)} of ${whole(barePerSecond)}/s`,
      limit: `>= ${LEAST_RATIO}`,
      met: ratio >= LEAST_RATIO,
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

function shown({ perSecond, p50Ms, p99Ms }: SendsResult): string {
  return `${whole(perSecond)}/s (p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms)`
}
