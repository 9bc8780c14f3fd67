/** A load generator: each connection sends a text as soon as the one before is accepted. */
import { readTask } from '../child.ts'
import { HttpConnection } from '../http-connection.ts'
import { percentile } from '../statistics.ts'

export interface SendsTask {
  url: string
  token: string
  path: string
  connections: number
  /** Each chat has one connection that sends in order, if there are enough chats. */
  contacts: string[]
  /** Stops after a time, or after as many messages of each connection to each of its contacts. */
  until: { elapsedMs: number } | { perLine: number }
}

export interface SendsResult {
  accepted: number
  elapsedMs: number
  perSecond: number
  p50Ms: number
  p99Ms: number
  /** Time of the first accept, in milliseconds since the Unix epoch. */
  firstAcceptedAt: number
  /** Answers other than 200, by status, with an example. */
  refused: Record<number, { count: number; body: string }>
}

const task = readTask<SendsTask>()
const result = await run(task)
console.log(JSON.stringify(result))
process.exit(0)

async function run({ url, token, path, connections, contacts, until }: SendsTask): Promise<SendsResult> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const pool = await Promise.all(Array.from({ length: connections }, () => HttpConnection.open(url, headers)))
  const tookMs: number[] = []
  const refused: SendsResult['refused'] = {}
  const startedAt = performance.now()
  let firstAcceptedAt = 0
  const isOver = (round: number) =>
    'perLine' in until ? round >= until.perLine : performance.now() - startedAt >= until.elapsedMs

  async function work(connection: HttpConnection, mine: string[], index: number): Promise<void> {
    for (let round = 0; ; round++) {
      for (const contact of mine) {
        if (isOver(round)) return
        const sentAt = performance.now()
        const body = JSON.stringify({ platform: 'wa', contact, text: `bench ${index} ${round}` })
        const { status, body: answer } = await connection.request('POST', path, body)
        if (status === 200) {
          tookMs.push(performance.now() - sentAt)
          if (firstAcceptedAt === 0) firstAcceptedAt = performance.timeOrigin + performance.now()
        } else {
          refused[status] = { count: (refused[status]?.count ?? 0) + 1, body: answer.slice(0, 300) }
        }
      }
    }
  }

  await Promise.all(
    pool.map((connection, index) => work(connection, contactsOf(contacts, index, connections), index)),
  )
  const elapsedMs = performance.now() - startedAt
  return {
    accepted: tookMs.length,
    elapsedMs,
    perSecond: (tookMs.length / elapsedMs) * 1000,
    p50Ms: percentile(tookMs, 50),
    p99Ms: percentile(tookMs, 99),
    firstAcceptedAt,
    refused,
  }
}

function contactsOf(contacts: string[], index: number, connections: number): string[] {
  const mine = contacts.filter((_contact, position) => position % connections === index)
  return mine.length > 0 ? mine : contacts.slice(index % contacts.length, (index % contacts.length) + 1)
}
