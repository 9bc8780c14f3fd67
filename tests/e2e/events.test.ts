/** The feed, and a webhook that comes back, give the events of a webhook that was always there. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { DeliveryView } from '../../src/domain/views/delivery.ts'
import type { FeedPage } from '../../src/modules/events/events.ts'
import { openEvents } from '../support/event-source.ts'
import { pngOf } from '../support/files.ts'
import { formWith } from '../support/gateway-client.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'
import { webhookReceiver } from '../support/webhook-receiver.ts'

setDefaultTimeout(60_000)

let gateway: TestGateway
beforeAll(async () => {
  gateway = await testGateway()
  // The first token is the host's.
  await gateway.client.account()
})
afterAll(() => gateway[Symbol.asyncDispose]())

/** A linked account, a friend who writes to it, and a webhook for everything. */
async function scene() {
  const { account, device } = await gateway.client.linkedAccount()
  const friend = await gateway.client.newPhone()
  const receiver = webhookReceiver()
  const webhook = await account.addWebhook(receiver.url)
  const say = (text: string) => friend.send({ to: device, text })
  return { account, device, friend, receiver, webhook, say, url: `${gateway.url}/api/v1/events` }
}
/** Cuts the signature of a file's URL, which depends on the time. */
const timeless = (payload: unknown) => JSON.stringify(payload).replace(/expires=\d+&signature=\w+/, '')

test('pages, the stream and webhooks say the same, to the letter', async () => {
  const { account, device, friend, receiver, say, url } = await scene()
  await using _ = receiver
  await using stream = await openEvents(`${url}?after=now&events=message.received`, account.token)
  expect(stream.response.status).toBe(200)
  await say('first')
  const file = { name: 'view.png', type: 'image/png', content: pngOf(8, 8) }
  await friend.send(formWith({ to: device }, file))
  await say('last')
  const streamed = await stream.take(3)
  const delivered = (await receiver.waitForCount(3)).map(({ text }) => timeless(JSON.parse(text)))
  expect(streamed.map(({ data }) => timeless(data))).toEqual(delivered)
  const { body } = await account.api.get<FeedPage>('/api/v1/events?events=message.received')
  expect(body.events.map(({ payload }) => timeless(payload))).toEqual(delivered)
  expect(body.events.map(({ id }) => id)).toEqual(streamed.map(({ id }) => id))
})

test('a stream that broke off goes on where it was', async () => {
  const { account, receiver, say, url } = await scene()
  await using _ = receiver
  const stream = await openEvents(`${url}?after=now`, account.token)
  await say('1')
  const [first] = await stream.take(1)
  await stream[Symbol.asyncDispose]()
  for (const text of ['2', '3']) await say(text)
  await receiver.waitForCount(3)
  await using again = await openEvents(url, account.token, first?.id)
  expect((await again.take(2)).map(({ data }) => (data as { message: string }).message)).toEqual(['2', '3'])
})

test('a stream ends when its token is deleted, and then no other begins', async () => {
  const host = await gateway.client.account()
  await using stream = await openEvents(`${gateway.url}/api/v1/events?after=now`, host.token)
  const end = stream.next()
  const tokens = await gateway.client.admin.get<{ id: number }[]>('/api/v1/tokens')
  await gateway.client.admin.delete(`/api/v1/tokens/${tokens.body.at(-1)?.id}`)
  expect(await end).toBeNull()
  expect((await openEvents(`${gateway.url}/api/v1/events`, host.token)).response.status).toBe(403)
})

test('a webhook that comes late gets the past by a replay, and its log tells of it', async () => {
  const { account, receiver, say } = await scene()
  await using _ = receiver
  const since = new Date(gateway.clock.now() - 1_000).toISOString()
  for (const text of ['1', '2', '3']) await say(text)
  await receiver.waitForCount(3)
  await using late = webhookReceiver()
  const { id } = await account.addWebhook(late.url)
  const replay = await account.api.post<{ events: number }>(`/api/v1/webhooks/${id}/replay`, { since })
  expect([replay.status, replay.body]).toEqual([202, { events: 3 }])
  const received = await late.waitForCount(3)
  expect(received.map(({ text }) => text)).toEqual(receiver.received.map(({ text }) => text))
  const log = await waitFor(
    async () => {
      const answer = await account.api.get<{ deliveries: DeliveryView[] }>(
        `/api/v1/webhooks/${id}/deliveries`,
      )
      return answer.body.deliveries.every(({ status }) => status === 'succeeded') && answer.body.deliveries
    },
    { what: 'all to be settled' },
  )
  expect(log.map(delivery => delivery.id).reverse()).toEqual(
    received.map(({ headers }) => headers.get('webhook-id') as string),
  )
  expect(log[0]?.attempts).toMatchObject([{ status: 200, error: null, response: 'ok' }])
})
