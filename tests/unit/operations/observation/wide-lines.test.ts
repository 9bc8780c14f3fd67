/** Wide lines: their fields and levels, and what they never contain. */
import { expect, test } from 'bun:test'
import type { DeliveryAttempt, ReceivedBatch, SendAttempt } from '../../../../src/domain/observation.ts'
import { createLogger } from '../../../../src/lib/logger.ts'
import { createWideLines } from '../../../../src/modules/operations/observation/wide-lines.ts'

const SEND: SendAttempt = {
  messageId: 'msg_1',
  identityId: 'idn_1',
  deviceRowId: 'dev_1',
  platform: 'wa',
  recipient: '+237123456789',
  attempt: 2,
  outcome: 'submitted',
  reason: null,
  eventId: '$event',
  tookMs: 12.345,
  ageMs: 99.6,
}
const DELIVERY: DeliveryAttempt = {
  deliveryId: 'evt_1',
  identityId: 'idn_1',
  webhookId: 3,
  eventId: '$event',
  event: 'message.received',
  deviceRowId: 'dev_1',
  attempt: 1,
  outcome: 'succeeded',
  status: 200,
  error: null,
  tookMs: 5,
  ageMs: 7,
}
const BATCH: ReceivedBatch = {
  source: 'transaction',
  origin: 'txn',
  outcome: 'stored',
  events: 3,
  receipts: 1,
  messages: ['$one', '$two'],
  tookMs: 1,
  lagMs: 4,
}

function linesOf(tell: (lines: ReturnType<typeof createWideLines>) => void, verbose = false) {
  const lines: string[] = []
  const logger = createLogger('debug', { format: 'json', destination: { write: line => lines.push(line) } })
  tell(createWideLines(logger, verbose))
  return lines.map(line => {
    const { time, ...fields } = JSON.parse(line) as Record<string, unknown>
    expect(time).toBeString()
    return fields
  })
}

test('a try at sending', () => {
  expect(linesOf(lines => lines.sendAttempted?.(SEND))).toEqual([
    {
      level: 'info',
      msg: 'send',
      message_id: 'msg_1',
      device: 'dev_1',
      platform: 'wa',
      attempt: 2,
      outcome: 'submitted',
      event_id: '$event',
      ms: 12.3,
      age_ms: 100,
    },
  ])
})

test('a send that failed is a warning, and its reason names nobody', () => {
  const failed = {
    ...SEND,
    outcome: 'failed',
    eventId: null,
    reason: '+237123456789 is not on WhatsApp',
  } as const
  expect(linesOf(lines => lines.sendAttempted?.(failed))[0]).toMatchObject({
    level: 'warn',
    reason: '+…89 is not on WhatsApp',
  })
})

test.each([
  ['+999 170 123 456', "+999 170 123 456 isn't on wa: no 999170123456", "+…56 isn't on wa: no …56"],
  ['999-170-123-456', "999-170-123-456 isn't on wa", "…56 isn't on wa"],
  ['+999170123456', 'no (999) 170.123 456 here', 'no (…56 here'],
  ['+999 170 123 456', 'no ＋９９９\u200b１７０-１２３\u2011٤٥٦', 'no ＋…56'],
  ['+999170123456', 'GET /999%E2%80%8B170%E2%80%91123%20456', 'GET /…56'],
  ['12345', 'no 12345 here', 'no … here'],
  ['alice@example.com', "alice@example.com isn't on wa: Alice@example.com", "… isn't on wa: …"],
  ['other', 'bob@example.com answered', '…@example.com answered'],
  ['+999170123456', 'no 999170123456@s.whatsapp.net', 'no …56@s.whatsapp.net'],
  ['Family Smith 2024', 'Family Smith 2024 is no group: no "family smith 2024"', '… is no group: no "…"'],
  ['@alice', '@alice, or alice', '…, or …'],
  ['Zoë & co', 'GET /groups/Zo%C3%AB%20%26%20co failed', 'GET /groups/… failed'],
  ['https://t.me/+AbC?x=1', 'no https://t.me/+AbC, no https://t.me/+AbC?x=1', 'no …, no …'],
  ['on', "on isn't on wa, only once", "… isn't … wa, only once"],
  ['(a+)+$', 'is (a+)+$ here', 'is … here'],
  ['\ud800x', 'no \ud800x', 'no …'],
  ['x', 'since 2026-04-27 10:00 at 192.168.100.12:8008', 'since 2026-04-27 10:00 at 192.168.100.12:8008'],
])('the reason of a send to %j names nobody: %j', (recipient, reason, shown) => {
  const [line] = linesOf(lines =>
    lines.sendAttempted?.({ ...SEND, outcome: 'failed', eventId: null, recipient, reason }),
  )
  expect(line?.reason).toBe(shown)
  expect(line).not.toContainKey('recipient')
})

test('a try at delivering', () => {
  expect(linesOf(lines => lines.deliveryAttempted?.(DELIVERY))).toEqual([
    {
      level: 'info',
      msg: 'delivery',
      delivery_id: 'evt_1',
      webhook: 'idn_1/3',
      event: 'message.received',
      event_id: '$event',
      device: 'dev_1',
      attempt: 1,
      outcome: 'succeeded',
      status: 200,
      ms: 5,
      age_ms: 7,
    },
  ])
})

test('what an endpoint answered is not said again: it may be the message', () => {
  const refused = {
    ...DELIVERY,
    outcome: 'retry',
    status: 500,
    error: 'HTTP 500: can not read "my secret"',
  } as const
  const silent = { ...DELIVERY, outcome: 'dead', status: null, error: 'no answer within 15000 ms' } as const
  const [one, other] = linesOf(lines => {
    lines.deliveryAttempted?.(refused)
    lines.deliveryAttempted?.(silent)
  })
  expect(one).toMatchObject({ level: 'info', outcome: 'retry', status: 500 })
  expect(JSON.stringify(one)).not.toContain('secret')
  expect(other).toMatchObject({ level: 'warn', outcome: 'dead', error: 'no answer within 15000 ms' })
})

test('a batch names the messages that it brought', () => {
  expect(linesOf(lines => lines.batchReceived?.(BATCH))[0]).toEqual({
    level: 'info',
    msg: 'batch',
    source: 'transaction',
    batch: 'txn',
    outcome: 'stored',
    events: 3,
    receipts: 1,
    messages: 2,
    event_ids: ['$one', '$two'],
    ms: 1,
    lag_ms: 4,
  })
})

test('a batch without news is no line but for debugging; one that failed is a warning', () => {
  const nothing = { ...BATCH, messages: [] }
  expect(linesOf(lines => lines.batchReceived?.(nothing))).toEqual([])
  expect(linesOf(lines => lines.batchReceived?.(nothing), true)[0]).toMatchObject({ level: 'debug' })
  const failed = { ...nothing, outcome: 'failed' } as const
  expect(linesOf(lines => lines.batchReceived?.(failed))[0]).toMatchObject({ level: 'warn' })
})
