/** Figure 6: from process start to ready, on a database with content. */
import { jsonClient } from '../../support/json-client.ts'
import { waitFor } from '../../support/wait-for.ts'
import { runTask } from '../child.ts'
import { type Bench, type Figure, Malfunction, type Row, whole } from '../figure.ts'
import { assertNoneRefused, createQuietPhones, startLinkedGateway } from '../gateway.ts'
import type { SendsResult, SendsTask } from '../processes/sends.ts'
import { median } from '../statistics.ts'

const MOST_MS = 500
const CHATS = 50
const POLL_MS = 2
const PATIENCE_MS = 30_000

export const startTime: Figure = { number: 6, title: 'start to ready', run }

async function run({ program, quick, tell }: Bench): Promise<Row[]> {
  const perLine = quick ? 4 : 200
  await using gateway = await startLinkedGateway(program, { SEND_INTERVAL_MS: '0' })
  await fill(gateway, perLine)
  if ((await gateway.stop()) !== 0) throw new Malfunction('it did not stop as asked')

  const took: number[] = []
  for (let start = 0; start < (quick ? 3 : 9); start++) {
    took.push(await timeStart(program.command, gateway.directory))
  }
  tell(`starts: ${took.map(ms => Math.round(ms)).join(' ')} ms`)
  const medianMs = median(took)
  return [
    {
      figure: `6 start to ready, ${whole(perLine * CHATS)} messages in the database`,
      measured: `${whole(medianMs)} ms`,
      limit: `< ${MOST_MS} ms`,
      met: medianMs < MOST_MS,
    },
  ]
}

async function fill(gateway: Awaited<ReturnType<typeof startLinkedGateway>>, perLine: number): Promise<void> {
  const contacts = await createQuietPhones(gateway, CHATS)
  const { url, token, sendPath: path } = gateway
  const task = { url, token, path, connections: 16, contacts, until: { perLine } }
  const { refused } = await runTask<SendsTask, SendsResult>(
    import.meta.resolve('../processes/sends.ts'),
    task,
  )
  assertNoneRefused(refused)
  await waitFor(
    async () => {
      const { body } = await gateway.api.get<{ status: string }[]>('/api/v1/messages?limit=1')
      return body[0]?.status === 'delivered'
    },
    { what: 'the last message delivered', deadlineMs: PATIENCE_MS },
  )
}

async function timeStart(command: string[], directory: string): Promise<number> {
  const port = freePort()
  const ready = jsonClient(`http://127.0.0.1:${port}`)
  const startedAt = performance.now()
  const child = Bun.spawn([...command, 'serve'], {
    cwd: directory,
    env: { PATH: '/usr/bin:/bin', HOME: directory, PORT: String(port), LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  try {
    while ((await statusOf(() => ready.get('/ready'))) !== 200) {
      if (performance.now() - startedAt > PATIENCE_MS) throw new Malfunction('it was not ready in time')
      await Bun.sleep(POLL_MS)
    }
    return performance.now() - startedAt
  } finally {
    child.kill('SIGTERM')
    await child.exited
  }
}

/** @returns null while nobody listens */
async function statusOf(call: () => Promise<{ status: number }>): Promise<number | null> {
  try {
    return (await call()).status
  } catch {
    return null
  }
}

function freePort(): number {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() })
  const { port = 0 } = server
  void server.stop(true)
  return port
}
