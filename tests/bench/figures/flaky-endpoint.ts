/** Figure 7: a few chats’ deliveries a second to an endpoint that answers some tries with 500. */
import { runTask } from '../child.ts'
import { type Bench, type Figure, Malfunction, type Row, whole } from '../figure.ts'
import { assertNoneRefused, createQuietPhones, DEVICE, startLinkedGateway } from '../gateway.ts'
import type { PhonesTask, StageResult } from '../processes/phones-and-endpoint.ts'

const CHATS = 3
/** More than so few chats can be told, one message after the other. */
const OFFERED_PER_SECOND = 600
const REFUSED_SHARE = 0.05
const LEAST_SHARE = 0.5

export const flakyEndpoint: Figure = { number: 7, title: 'webhook with random failures', run }

async function run({ program, quick, tell }: Bench): Promise<Row[]> {
  await using gateway = await startLinkedGateway(program)
  const stage = { perSecond: OFFERED_PER_SECOND, seconds: quick ? 2 : 8 }
  const task = {
    url: gateway.url,
    token: gateway.token,
    phones: await createQuietPhones(gateway, CHATS),
    to: DEVICE,
    stages: [stage, { ...stage, refusedShare: REFUSED_SHARE }],
  }
  const script = import.meta.resolve('../processes/phones-and-endpoint.ts')
  const stages = await runTask<PhonesTask, StageResult[]>(script, task)
  for (const { sent, received, duplicates, refused, backlog } of stages) {
    tell(`backlog by second ${backlog.join(' ')}`)
    assertNoneRefused(refused)
    if (received !== sent || duplicates > 0)
      throw new Malfunction(`of ${sent} messages ${received} came, ${duplicates} of them again`)
  }
  if ((await gateway.stop()) !== 0) throw new Malfunction('it did not stop as asked')

  const [well, flaky] = stages.map(({ received, elapsedMs }) => (received / elapsedMs) * 1000)
  if (well === undefined || flaky === undefined) throw new Error('a stage is missing')
  return [
    {
      figure: `7 webhook with 5 % of tries answered 500, ${CHATS} chats`,
      measured: `${whole(flaky)}/s (${(flaky / well).toFixed(2)} of ${whole(well)}/s without)`,
      limit: `>= ${LEAST_SHARE}`,
      met: flaky / well >= LEAST_SHARE,
    },
  ]
}
