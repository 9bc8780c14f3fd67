/** A customer's tests meet what chats don't take, and restricted phones, on the sandbox. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { DeviceEvent } from '../../src/domain/events.ts'
import type { AcceptedMessage } from '../../src/domain/views/message.ts'
import { bytesOf } from '../support/files.ts'
import { formWith, type GatewayClient } from '../support/gateway-client.ts'
import { InboxReader } from '../support/inbox-reader.ts'
import { bearer } from '../support/json-client.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

let gateway: TestGateway
let client: GatewayClient

beforeAll(async () => {
  gateway = await testGateway()
  client = gateway.client
})
afterAll(() => gateway[Symbol.asyncDispose]())

test('Telegram takes short texts, and a caption only so long as its pictures may have', async () => {
  const { account, device } = await client.linkedAccount({ platform: 'telegram' })
  const friend = await client.newPhone()
  const send = (fields: object) =>
    account.trySend<{ messages: AcceptedMessage[] }>(device, {
      platform: 'telegram',
      contact: friend.number,
      ...fields,
    })
  await send({ text: 'hello' })
  await friend.waitForText('hello')
  expect(await send({ text: 'x'.repeat(4_097) })).toMatchObject({
    status: 422,
    body: {
      error: 'Telegram takes texts of at most 4096 characters here, not 4097',
      code: 'unsupported_by_chat',
      feature: 'max_text_length',
      limit: 4_096,
    },
  })
  expect((await send({ text: 'x'.repeat(4_096) })).status).toBe(200)
  const caption = 'y'.repeat(1_025)
  const fields = { platform: 'telegram', contact: friend.number, text: caption }
  const form = formWith(fields, { name: 'report.pdf', content: bytesOf(100) })
  expect((await account.trySend(device, form)).status).toBe(200)
  await friend.waitForText(caption)
  expect((await friend.received()).map(({ type }) => type)).toEqual(['text', 'text', 'file', 'text'])
})

test('a repeat of a send of which a part has failed is answered as the first', async () => {
  const { account, device } = await client.linkedAccount({ platform: 'signal' })
  const [known, unknown] = [await client.newPhone(), await client.newPhone()]
  await account.send(device, { platform: 'signal', contact: known.number, text: 'hello' })
  await known.waitForText('hello')
  const body = {
    platform: 'signal',
    contact: `${known.number}, ${unknown.number}`,
    text: 'x'.repeat(2_001),
  }
  const reason = 'unsupported_by_chat: Signal takes texts of at most 2000 characters here, not 2001'
  const headers = {
    authorization: bearer(account.token),
    'content-type': 'application/json',
    'idempotency-key': crypto.randomUUID(),
  }
  const send = async () => {
    const url = `${gateway.url}/api/v1/devices/${device}/message`
    const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    return { status: answer.status, body: (await answer.json()) as { messages: AcceptedMessage[] } }
  }
  const first = await send()
  expect(first).toMatchObject({
    status: 200,
    body: { messages: [{ to: known.number, status: 'failed', reason }, { status: 'queued' }] },
  })
  expect(await send()).toEqual(first)
  // It is found out at its turn, with the same words.
  const later = await account.waitForStatus(first.body.messages[1]?.id ?? '', ['failed'])
  expect(later).toMatchObject({ reason })
  expect(await account.message(first.body.messages[0]?.id ?? '')).toMatchObject({ status: 'failed', reason })
})

test('phones may be restricted: first messages wait, and go when that ends', async () => {
  const { account, device } = await client.linkedAccount()
  const [friend, stranger] = [await client.newPhone(), await client.newPhone()]
  await using events = await InboxReader.of<DeviceEvent>(account, ['device.restricted'])
  await account.send(device, { contact: friend.number, text: 'hello' })
  await friend.waitForText('hello')
  const until = '2100-01-01T00:00:00Z'
  const restrict = (restricted_until: string | null) =>
    client.sandbox.post('/faults', { platform: 'wa', restricted_until })
  await restrict(until)
  expect(await events.next()).toMatchObject({ restricted: { until, what: 'new_chats' } })
  const [first] = await account.send(device, { contact: stranger.number, text: 'first' })
  await account.send(device, { contact: friend.number, text: 'again' })
  await friend.waitForText('again')
  await waitFor(async () => (await account.message(first?.id ?? '')).due_at === until)
  expect(await stranger.received()).toEqual([])
  await restrict(null)
  await stranger.waitForText('first')
  expect(await events.next()).toMatchObject({ restricted: null })
})

test('what the network sends back before it tells of a restriction waits as well', async () => {
  const { account, device } = await client.linkedAccount()
  const stranger = await client.newPhone()
  // The chat is there, and nothing was said in it.
  await client.sandbox.post('/faults', { platform: 'wa', fail_next: 1, retriable: true })
  const [first] = await account.send(device, { contact: stranger.number, text: 'first' })
  await waitFor(async () => (await account.message(first?.id ?? '')).reason !== null)
  await client.sandbox.post('/faults', { platform: 'wa', restricted_until: '2100-01-01T00:00:00Z' })
  await waitFor(async () => (await account.message(first?.id ?? '')).reason?.startsWith('restricted'))
  await client.sandbox.delete('/faults')
  await stranger.waitForText('first')
})
