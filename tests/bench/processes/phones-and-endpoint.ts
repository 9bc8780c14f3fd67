/**
 * Phones that write at a steady rate, and the webhook endpoint of their messages, in one process
 * with one clock. A message counts from when it is due, even if it waits for a free connection.
 */
import { readTask } from '../child.ts'
import { HttpConnection } from '../http-connection.ts'

export interface PhonesTask {
  url: string
  token: string
  phones: string[]
  /** Number of the linked device. */
  to: string
  stages: {
    perSecond: number
    seconds: number
    /** Part of the tries that the endpoint answers with 500, 0 by default. */
    refusedShare?: number
  }[]
}

export interface StageResult {
  perSecond: number
  sent: number
  received: number
  duplicates: number
  /** From due to received, in milliseconds, for each message received. */
  tookMs: number[]
  /** From the first message due to the last received. */
  elapsedMs: number
  /** Messages sent and not yet received, at the end of each second. */
  backlog: number[]
  refused: Record<number, { count: number; body: string }>
}

const CONNECTIONS = 64
/** Time allowed for the last messages. */
const PATIENCE_MS = 30_000

const task = readTask<PhonesTask>()

/** By the message's text, which is unique. */
const dueAt = new Map<string, number>()
const arrivedAt = new Map<string, number>()
let duplicates = 0
let refusedShare = 0

const endpoint = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  async fetch(request) {
    const at = performance.now()
    if (Math.random() < refusedShare) return new Response('not now', { status: 500 })
    const { message } = (await request.json()) as { message: string }
    if (arrivedAt.has(message)) duplicates++
    else arrivedAt.set(message, at)
    return new Response('ok')
  },
})

const headers = { 'content-type': 'application/json' }
const idle = await Promise.all(
  Array.from({ length: CONNECTIONS }, () => HttpConnection.open(task.url, headers)),
)
const waiting: { phone: string; text: string }[] = []
let refused: StageResult['refused'] = {}

await register()
await warmUp()
const results: StageResult[] = []
for (const stage of task.stages) results.push(await run(stage))
console.log(JSON.stringify(results))
process.exit(0)

async function register(): Promise<void> {
  const response = await fetch(`${task.url}/api/v1/webhooks`, {
    method: 'POST',
    headers: { ...headers, authorization: `Bearer ${task.token}` },
    body: JSON.stringify({ url: endpoint.url.href }),
  })
  if (response.status !== 201) throw new Error(`no webhook: ${await response.text()}`)
}

/** The first message from each phone creates its chat; later ones warm up the code. */
async function warmUp(): Promise<void> {
  for (let round = 0; round < 20; round++) {
    for (const phone of task.phones) submit(phone, `warm ${round} ${phone}`)
    await allReceived()
  }
}

async function run(stage: PhonesTask['stages'][number]): Promise<StageResult> {
  const { perSecond, seconds } = stage
  refusedShare = stage.refusedShare ?? 0
  dueAt.clear()
  arrivedAt.clear()
  duplicates = 0
  refused = {}
  const count = perSecond * seconds
  const backlog: number[] = []
  const startedAt = performance.now()
  for (let sent = 0; sent < count; ) {
    const elapsedMs = performance.now() - startedAt
    const due = Math.min(count, Math.floor((elapsedMs * perSecond) / 1000) + 1)
    for (; sent < due; sent++)
      submit(task.phones[sent % task.phones.length] ?? '', `${perSecond}/s ${sent} ${refusedShare}`)
    if (elapsedMs > (backlog.length + 1) * 1000) backlog.push(sent - arrivedAt.size)
    await Bun.sleep(1)
  }
  await allReceived()
  // A repeat would come within this time.
  await Bun.sleep(500)
  const tookMs = [...arrivedAt].map(([text, at]) => at - (dueAt.get(text) ?? 0))
  return {
    perSecond,
    sent: count,
    received: arrivedAt.size,
    duplicates,
    tookMs,
    elapsedMs: Math.max(...arrivedAt.values()) - startedAt,
    backlog,
    refused,
  }
}

function submit(phone: string, text: string): void {
  dueAt.set(text, performance.now())
  waiting.push({ phone, text })
  const connection = idle.shift()
  if (connection) void drain(connection)
}

async function drain(connection: HttpConnection): Promise<void> {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const body = JSON.stringify({ to: task.to, text: next.text })
    const { status, body: answer } = await connection.request(
      'POST',
      `/sandbox/api/phones/${next.phone}/messages`,
      body,
    )
    if (status !== 201)
      refused[status] = { count: (refused[status]?.count ?? 0) + 1, body: answer.slice(0, 300) }
  }
  idle.push(connection)
}

async function allReceived(): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (arrivedAt.size < dueAt.size && performance.now() < deadline) await Bun.sleep(5)
}
