/** Figure 3: time from phone to webhook, and messages a second on that way. */
import { runTask } from '../child.ts'
import { type Bench, type Figure, Malfunction, type Row, whole } from '../figure.ts'
import { assertNoneRefused, createQuietPhones, DEVICE, startLinkedGateway } from '../gateway.ts'
import type { PhonesTask, StageResult } from '../processes/phones-and-endpoint.ts'
import { percentile } from '../statistics.ts'

const PHONES = 50
const STEADY_PER_SECOND = 200
const MOST_P50_MS = 10
const MOST_P99_MS = 50
const LEAST_PER_SECOND = 1_000
/** A little over the figure, so that the program must keep up to reach it. */
const OFFERED_PER_SECOND = 1_050

export const incoming: Figure = { number: 3, title: 'phone to webhook', run }

async function run({ program, quick, tell }: Bench): Promise<Row[]> {
  await using gateway = await startLinkedGateway(program)
  const phones = await createQuietPhones(gateway, PHONES)
  const seconds = quick ? 2 : 15
  const task = {
    url: gateway.url,
    token: gateway.token,
    phones,
    to: DEVICE,
    stages: [STEADY_PER_SECOND, OFFERED_PER_SECOND].map(perSecond => ({ perSecond, seconds })),
  }
  const script = import.meta.resolve('../processes/phones-and-endpoint.ts')
  const stages = await runTask<PhonesTask, StageResult[]>(script, task)
  for (const stage of stages) {
    tell(`${stage.perSecond}/s: ${latencies(stage)}, backlog by second ${stage.backlog.join(' ')}`)
    assertExactlyOnce(stage)
  }
  const [steady, fast] = stages
  if (!steady || !fast) throw new Error('a stage is missing')
  if ((await gateway.stop()) !== 0) throw new Malfunction('it did not stop as asked')

  const carried = (fast.received / fast.elapsedMs) * 1000
  return [
    latencyRow(steady, 50, MOST_P50_MS),
    latencyRow(steady, 99, MOST_P99_MS),
    {
      figure: '3 message at the phone to webhook, sustained',
      measured: `${whole(carried)}/s of ${whole(OFFERED_PER_SECOND)}/s offered (p99 ${percentile(fast.tookMs, 99).toFixed(1)} ms, at most ${whole(Math.max(...fast.backlog))} waiting)`,
      limit: `>= ${whole(LEAST_PER_SECOND)}/s`,
      met: carried >= LEAST_PER_SECOND,
    },
  ]
}

function latencyRow(stage: StageResult, percent: number, limitMs: number): Row {
  const measuredMs = percentile(stage.tookMs, percent)
  return {
    figure: `3 message at the phone to webhook, p${percent} at ${stage.perSecond}/s`,
    measured: `${measuredMs.toFixed(1)} ms`,
    limit: `< ${limitMs} ms`,
    met: measuredMs < limitMs,
  }
}

/** An endpoint that always answers must get each message once, though we promise at least once. */
function assertExactlyOnce({ perSecond, sent, received, duplicates, refused }: StageResult): void {
  assertNoneRefused(refused)
  if (received !== sent || duplicates > 0) {
    throw new Malfunction(
      `at ${perSecond}/s: of ${sent} messages ${received} came, ${duplicates} of them again`,
    )
  }
}

function latencies({ tookMs }: StageResult): string {
  const [p50, p90, p99, p100] = [50, 90, 99, 100].map(percent => percentile(tookMs, percent).toFixed(1))
  return `p50 ${p50} ms, p90 ${p90} ms, p99 ${p99} ms, most ${p100} ms`
}
