/** Statuses of a message, in the API and in webhooks that subscribe to them. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { StatusEvent } from '../../src/domain/events.ts'
import type { GatewayClient } from '../support/gateway-client.ts'
import { InboxReader } from '../support/inbox-reader.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'

setDefaultTimeout(60_000)

const STATUS_TIMEOUT_MS = 1_000

let gateway: TestGateway
let client: GatewayClient

beforeAll(async () => {
  gateway = await testGateway({ STATUS_TIMEOUT_MS: String(STATUS_TIMEOUT_MS) })
  client = gateway.client
})

afterAll(() => gateway[Symbol.asyncDispose]())

/** An account with a linked phone and a webhook for statuses, and a friend. */
async function scene() {
  const { account, device } = await client.linkedAccount()
  // The friend reads messages, and replies.
  const friend = await client.newPhone({ echo: true })
  const inbox = await InboxReader.of<StatusEvent>(account, ['message.status'])
  const send = async (text: string) => {
    const [message] = await account.send(device, { contact: friend.number, text })
    return message?.id ?? ''
  }
  return { account, device, friend, inbox, send }
}

test('each status is told once and in order, and the last one is what the API shows', async () => {
  const { account, device, friend, inbox, send } = await scene()
  await using _ = inbox
  const id = await send('one')
  const [delivered, read] = await inbox.take(2)
  expect(delivered).toEqual({
    event: 'message.status',
    timestamp: expect.any(String),
    id,
    platform: 'wa',
    device_id: device,
    to: friend.number,
    status: 'delivered',
    reason: null,
    event_id: expect.stringMatching(/^\$/),
    chat_id: expect.stringMatching(/^chat_/),
    metadata: null,
    send_at: null,
    expires_at: null,
    created_at: expect.any(String),
    updated_at: expect.any(String),
  })
  expect(read).toMatchObject({ event: 'message.status', id, status: 'read', event_id: delivered?.event_id })
  // Only the API shows when a message will be tried, and its actions: an event tells what has
  // happened.
  const { due_at: dueAt, actions, deleted_at: deletedAt, ...shown } = await account.message(id)
  expect([dueAt, actions, deletedAt]).toEqual([null, [], null])
  expect(read).toMatchObject(shown)
  expect(inbox.unread).toBe(0)
})

test('a failure is told with its reason, and a message that is sent again is queued before it is sent', async () => {
  const { inbox, send, friend } = await scene()
  await using _ = inbox
  await client.setFaults({ fail_next: 1, fail_reason: 'm.no_permission', retriable: false })
  const failed = await send('never')
  expect(await inbox.next()).toMatchObject({
    id: failed,
    status: 'failed',
    reason: expect.stringContaining('(m.no_permission)'),
  })
  await client.setFaults({ fail_next: 1, fail_reason: 'm.foreign_network_error', retriable: true })
  const again = await send('at the second try')
  expect(await inbox.next()).toMatchObject({ id: again, status: 'queued', event_id: null })
  expect(await inbox.next()).toMatchObject({ id: again, status: 'delivered', reason: null })
  await friend.waitForText('at the second try')
})

test('one that its bridge says nothing about settles as sent, and still advances when it does', async () => {
  const { account, inbox, send } = await scene()
  await using _ = inbox
  await client.setFaults({ delay_ms: STATUS_TIMEOUT_MS * 3 })
  const id = await send('patience')
  const silent = await inbox.next()
  await client.setFaults({ delay_ms: 0 })
  expect(silent).toMatchObject({ id, status: 'sent', reason: 'status_timeout' })
  const delivered = await account.waitForStatus(id, ['delivered', 'read'])
  expect(delivered.reason).toBeNull()
  expect(await inbox.next()).toMatchObject({ id, status: 'delivered', reason: null })
})
