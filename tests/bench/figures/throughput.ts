/** Figure 2: messages a second to the phones; each must be there once and in order. */
import type { Database } from 'bun:sqlite'
import { jsonClient } from '../../support/json-client.ts'
import { waitFor } from '../../support/wait-for.ts'
import { runTask } from '../child.ts'
import { type Bench, type Figure, Malfunction, type Row, whole } from '../figure.ts'
import {
  assertNoneRefused,
  createQuietPhones,
  type LinkedGateway,
  openReadOnly,
  startLinkedGateway,
} from '../gateway.ts'
import type { SendsResult, SendsTask } from '../processes/sends.ts'
import { processorUs } from '../usage.ts'

const CONNECTIONS = 40
const PATIENCE_MS = 120_000
const POLL_MS = 20

interface Load {
  of: string
  chats: number
  leastPerSecond: number
}

export const throughput: Figure = {
  number: 2,
  title: 'accepted to phone',
  async run(bench) {
    return [
      await measure(bench, { of: '200 chats', chats: 200, leastPerSecond: 2_000 }),
      await measure(bench, { of: 'one chat', chats: 1, leastPerSecond: 1_000 }),
    ]
  },
}

async function measure({ program, quick, tell }: Bench, { of, chats, leastPerSecond }: Load): Promise<Row> {
  await using gateway = await startLinkedGateway(program, { SEND_INTERVAL_MS: '0' })
  const contacts = await createQuietPhones(gateway, chats)
  using database = openReadOnly(gateway)
  // A connection keeps the order of its messages to a chat, also when it shares the chat.
  const lines = Math.max(chats, CONNECTIONS)
  const send = (perLine: number) => sendAll(gateway, database, contacts, perLine, lines)

  // The first message to a contact creates its chat; a few more warm up the code.
  await send(1)
  const warm = Math.ceil((quick ? 1_000 : 4_000) / lines)
  await send(warm)
  const perLine = Math.ceil((quick ? 4_000 : 30_000) / lines)
  const usedBefore = processorUs(gateway.pid)
  const { accepts, elapsedMs } = await send(perLine)
  const total = perLine * lines
  const usedEach = (processorUs(gateway.pid) - usedBefore) / total
  tell(
    `${of}: ${whole(total)} accepted at ${whole(accepts.perSecond)}/s, on the phones after ${whole(elapsedMs)} ms`,
  )
  await assertInOrder(gateway, contacts, [1, warm, perLine])
  await assertAllDelivered(database)
  if ((await gateway.stop()) !== 0) throw new Malfunction('it did not stop as asked')

  const perSecond = (total / elapsedMs) * 1000
  return {
    figure: `2 accepted to on the phone, ${of}, nothing lost`,
    measured: `${whole(perSecond)}/s (${whole(total)} messages, each once and in order, ${whole(usedEach)} us of processor each)`,
    limit: `>= ${whole(leastPerSecond)}/s`,
    met: perSecond >= leastPerSecond,
  }
}

/** @returns the time from the first accept to the last arrival on a phone */
async function sendAll(
  gateway: LinkedGateway,
  database: Database,
  contacts: string[],
  perLine: number,
  lines: number,
): Promise<{ accepts: SendsResult; elapsedMs: number }> {
  // The network numbers its rows without gaps, so the last number is their count, cheap to read.
  const last = database.query<{ seq: number | null }, []>('SELECT max(seq) AS seq FROM sandbox_message')
  const onPhones = () => last.get()?.seq ?? 0
  const goal = onPhones() + lines * perLine
  const accepting = runTask<SendsTask, SendsResult>(import.meta.resolve('../processes/sends.ts'), {
    url: gateway.url,
    token: gateway.token,
    path: gateway.sendPath,
    connections: CONNECTIONS,
    contacts,
    until: { perLine },
  })
  const arrival = arrivalOf(goal, onPhones)
  const accepts = await accepting
  assertNoneRefused(accepts.refused)
  const arrivedAt = await arrival
  if (arrivedAt === null) throw new Malfunction(`only ${onPhones()} of ${goal} messages reached the phones`)
  return { accepts, elapsedMs: arrivedAt - accepts.firstAcceptedAt }
}

/** @returns when the goal was reached, in ms since the Unix epoch; null at the deadline */
async function arrivalOf(goal: number, onPhones: () => number): Promise<number | null> {
  const deadline = performance.now() + PATIENCE_MS
  while (onPhones() < goal) {
    if (performance.now() > deadline) return null
    await Bun.sleep(POLL_MS)
  }
  return performance.timeOrigin + performance.now()
}

/** @param runs messages of each line and run, numbered from 0 */
async function assertInOrder({ url }: LinkedGateway, contacts: string[], runs: number[]): Promise<void> {
  const api = jsonClient(url)
  const expected = runs.flatMap(count => Array.from({ length: count }, (_none, round) => round)).join()
  for (const phone of contacts) {
    const { body } = await api.get<{ id: string; text: string }[]>(`/sandbox/api/phones/${phone}/messages`)
    const ids = new Set(body.map(message => message.id))
    const ofConnection = Map.groupBy(body, message => message.text.split(' ')[1])
    for (const [connection, messages] of ofConnection) {
      const rounds = messages.map(message => message.text.split(' ')[2]).join()
      if (rounds === expected && ids.size === body.length) continue
      throw new Malfunction(
        `phone ${phone} hasn't each message of connection ${connection} once and in order`,
      )
    }
  }
}

/** Each message's status has come back, too. */
async function assertAllDelivered(database: Database): Promise<void> {
  const query = database.query<{ count: number }, []>(
    "SELECT count(*) AS count FROM messages WHERE status NOT IN ('delivered', 'read')",
  )
  await waitFor(() => query.get()?.count === 0, {
    what: 'every message to be delivered',
    deadlineMs: PATIENCE_MS,
  }).catch(() => {
    throw new Malfunction(`${query.get()?.count} messages on phones are not delivered as far as the API says`)
  })
}
