/** Fetching older messages by the bridge, and the event that says what came. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { events } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { Bridge } from '../../../src/domain/ports.ts'
import { createDeviceRepository } from '../../../src/modules/devices/device-repository.ts'
import { createBackfill } from '../../../src/modules/groups/backfill.ts'
import { createChatAccess } from '../../../src/modules/groups/chat-access.ts'
import { insertChat, insertDevice } from '../../support/rows.ts'
import { testModule } from '../../support/test-module.ts'
import { waitFor } from '../../support/wait-for.ts'

let module: ReturnType<typeof testModule>
let asked: unknown[]
/** Answers of the bridge, and how many messages come with each. */
let answers: [Awaited<ReturnType<Bridge['fetchOlder']>> | Error, number][]
let backfill: ReturnType<typeof createBackfill>
beforeEach(() => {
  asked = []
  answers = []
  module = testModule({
    bridge: {
      fetchOlder: async (...about) => {
        asked.push(about)
        const [outcome, count] = answers.shift() ?? ['complete', 0]
        if (outcome instanceof Error) throw outcome
        if (count > 0) module.signals.emit('history-stored', 'id_1', '!r:s', count)
        return outcome
      },
    },
  })
  const devices = createDeviceRepository(module.db)
  const access = createChatAccess({ ...module, devices: { linkedFirst: devices.listAll } })
  backfill = createBackfill({ ...module, access })
  insertDevice(module.db)
  insertChat(module.db)
})
afterEach(() => module.db.destroy())

const told = () =>
  module.db.orm
    .select()
    .from(events)
    .all()
    .map(({ payload }) => payload as { count: number; more: boolean })

/** Lets time go by until the event is there. */
async function untilTold(): Promise<void> {
  await waitFor(
    async () => {
      await module.clock.advance(500)
      return told().length > 0
    },
    { what: 'chat.backfilled' },
  )
}

test('one batch is fetched, and the event says how many messages came', async () => {
  answers = [['fetched', 30]]
  await Promise.all([backfill('id_1', '!r:s', 20), untilTold()])
  expect(asked).toEqual([['@mg1:s', '237', '!r:s']])
  expect(told()).toEqual([
    {
      event: 'chat.backfilled',
      timestamp: expect.any(String),
      device_id: '237',
      platform: 'wa',
      chat_id: expect.stringMatching(/^chat_/),
      chat: { id: '!r:s', kind: 'dm', name: 'Jonas' },
      count: 30,
      more: true,
    },
  ] as never)
})

test('batches go on until there are enough, or no more', async () => {
  answers = [
    ['fetched', 30],
    ['fetched', 30],
    ['complete', 0],
  ]
  await Promise.all([backfill('id_1', '!r:s', 100), untilTold()])
  expect(told()).toMatchObject([{ count: 60, more: false }])
})

test('what a phone that was asked sends later is waited for', async () => {
  answers = [['pending', 0]]
  const fetching = backfill('id_1', '!r:s', 50)
  await waitFor(() => asked.length === 1, { what: 'the question' })
  await module.clock.advance(10_000)
  module.signals.emit('history-stored', 'id_1', '!r:s', 7)
  module.signals.emit('history-stored', 'id_1', '!other:s', 9)
  await Promise.all([fetching, untilTold()])
  expect(told()).toMatchObject([{ count: 7, more: true }])
})

test('where it can’t be done, the caller is told', async () => {
  answers = [[new GatewayError('not_supported', 'no batch sending'), 0]]
  await expect(backfill('id_1', '!r:s', 50)).rejects.toMatchObject({ code: 'not_supported' })
  expect(told()).toEqual([])
  await expect(backfill('id_1', 'chat_x', 50)).rejects.toMatchObject({ code: 'not_found' })
})
