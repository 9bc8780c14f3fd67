/** From a phone's message to the webhook: what arrives, in which order, and failing endpoints. */
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import type { MessagePayload } from '../../src/domain/events.ts'
import { bytesOf, pngOf, randomFrom } from '../support/files.ts'
import { type Account, formWith, type GatewayClient, type Phone } from '../support/gateway-client.ts'
import { InboxReader } from '../support/inbox-reader.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'

const INLINE_MAX_BYTES = 64 * 1024
const URL_TTL_S = 60
/** Longer than the wait after a first failure (5 s), with any jitter. */
const FIRST_RETRY_MS = 7_000

setDefaultTimeout(60_000)

let gateway: TestGateway
let client: GatewayClient
/** The account of the first token, whose identity others can share. */
let host: Account

beforeAll(async () => {
  gateway = await testGateway({
    MEDIA_INLINE_MAX_BYTES: String(INLINE_MAX_BYTES),
    MEDIA_URL_TTL_S: String(URL_TTL_S),
  })
  client = gateway.client
  host = await client.account()
})

afterAll(() => gateway[Symbol.asyncDispose]())

/** A linked account, and a friend who writes to it. */
async function scene() {
  const linked = await client.linkedAccount()
  return { ...linked, friend: await client.newPhone() }
}

describe('what a phone sends', () => {
  let account: Account
  let device: string
  let friend: Phone
  let inbox: InboxReader
  /** A text that later messages refer to: its ids on the phone and at the webhook. */
  let first: { phone: string; event: string }

  const blank = {
    event: 'message.received',
    message: '',
    media: null,
    reply_to: null,
    relates_to: null,
    location: null,
  }

  beforeAll(async () => {
    const made = await scene()
    account = made.account
    device = made.device
    friend = made.friend
    inbox = await InboxReader.open(account)
    const { id } = await friend.send({ to: device, text: 'the first' })
    first = { phone: id, event: (await inbox.next()).id }
  })

  afterAll(() => inbox[Symbol.asyncDispose]())

  /** Sends the message and reads the webhook's only event. */
  async function told(what: Record<string, unknown> | FormData): Promise<MessagePayload> {
    await friend.send(what)
    const payload = await inbox.next()
    // Bun writes matchers into the compared object.
    expect(structuredClone(payload)).toMatchObject({
      id: expect.stringMatching(/^\$[\w-]{10,}$/),
      is_contact: false,
      from: `@whatsapp_${friend.number}:localhost`,
      to: expect.stringMatching(/^@mg\w+:localhost$/),
      device_id: device,
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/),
      platform: 'wa',
      sender: { id: payload.from, phone: friend.number, name: expect.stringMatching(/\w+ \w+/) },
      chat: { id: expect.stringMatching(/^!/), kind: 'dm', name: payload.sender.name },
    })
    expect(Math.abs(Date.parse(payload.timestamp) - gateway.clock.now())).toBeLessThan(60_000)
    return payload
  }

  const file = (name: string, type: string, content: Uint8Array<ArrayBuffer>, more = {}) =>
    formWith({ to: device, ...more }, { name, type, content })

  test.each([
    ['text', 'm.text'],
    ['notice', 'm.notice'],
    ['emote', 'm.emote'],
  ])('%s', async (kind, type) => {
    const text = `Grüße 👋 "quoted" <b>\n${kind}`
    expect(await told({ to: device, type: kind, text })).toMatchObject({
      ...blank,
      kind,
      type,
      message: text,
    })
  })

  test('image, with its pixels, a BlurHash and all its bytes', async () => {
    const content = pngOf(64, 48)
    const payload = await told(file('view.png', 'image/png', content))
    expect(payload).toMatchObject({ ...blank, kind: 'image', type: 'm.image', media: {} })
    expect(payload.media?.info).toEqual({
      size: content.length,
      mime_type: 'image/png',
      width: 64,
      height: 48,
      blur_hash: expect.stringMatching(/^[\w#$%*+,\-.:;=?@[\]^{|}~]{28}$/),
      file_name: 'view.png',
      duration: 0,
    })
    expect(payload.media?.content).toBe(Buffer.from(content).toString('base64'))
  })

  test('image with a caption', async () => {
    const payload = await told(file('view.png', 'image/png', pngOf(2, 2), { text: 'the view' }))
    expect(payload).toMatchObject({
      kind: 'image',
      message: 'the view',
      media: { info: { file_name: 'view.png' } },
    })
  })

  test.each([
    ['video', 'm.video', 'clip.mp4', 'video/mp4'],
    ['audio', 'm.audio', 'song.mp3', 'audio/mpeg'],
    ['file', 'm.file', 'report.pdf', 'application/pdf'],
  ])('%s', async (kind, type, name, mimeType) => {
    const content = bytesOf(5_000)
    const payload = await told(file(name, mimeType, content, { duration_ms: '1500' }))
    expect(payload).toMatchObject({ ...blank, kind, type, media: {} })
    expect(payload.media?.info).toEqual({
      size: 5_000,
      mime_type: mimeType,
      width: 0,
      height: 0,
      blur_hash: '',
      file_name: name,
      duration: 1_500,
    })
    expect(payload.media?.content).toBe(Buffer.from(content).toString('base64'))
  })

  test('voice', async () => {
    const payload = await told(
      file('note.ogg', 'audio/ogg', bytesOf(900), { type: 'voice', duration_ms: '2500' }),
    )
    expect(payload).toMatchObject({
      ...blank,
      kind: 'voice',
      type: 'm.audio',
      media: { info: { duration: 2_500 } },
    })
  })

  test('sticker', async () => {
    const payload = await told(file('smile.png', 'image/png', pngOf(16, 16), { type: 'sticker' }))
    expect(payload).toMatchObject({
      kind: 'sticker',
      type: 'm.sticker',
      media: { info: { width: 16, height: 16 } },
    })
    expect(payload.media?.content).toBe(Buffer.from(pngOf(16, 16)).toString('base64'))
  })

  test('an empty file', async () => {
    const payload = await told(file('empty.txt', 'text/plain', new Uint8Array(0)))
    expect(payload.media).toMatchObject({ content: '', info: { size: 0, file_name: 'empty.txt' } })
  })

  test('location', async () => {
    const location = { latitude: 3.8667, longitude: 11.5167, name: 'Yaoundé' }
    expect(await told({ to: device, location })).toMatchObject({
      ...blank,
      kind: 'location',
      type: 'm.location',
      message: 'Yaoundé',
      location: { latitude: 3.8667, longitude: 11.5167, uri: 'geo:3.8667,11.5167' },
    })
  })

  test('reply', async () => {
    expect(await told({ to: device, text: 'as I said', reply_to: first.phone })).toMatchObject({
      ...blank,
      kind: 'text',
      message: 'as I said',
      reply_to: first.event,
      reply_to_message_id: null,
      quoted: { text: expect.any(String), sender: { phone: friend.number } },
      metadata: null,
    })
  })

  test('reply to a message that was sent with notes', async () => {
    const fields = { contact: friend.number, text: 'your order?', metadata: { order: '4711' } }
    const [sent] = await account.send(device, fields)
    const { id } = await friend.waitForText('your order?')
    expect(await told({ to: device, text: 'yes', reply_to: id })).toMatchObject({
      reply_to_message_id: sent?.id,
      quoted: { text: 'your order?', sender: { phone: device } },
      metadata: { order: '4711' },
    })
  })

  test('reaction', async () => {
    expect(await told({ reaction: { message: first.phone, emoji: '🎉' } })).toMatchObject({
      ...blank,
      event: 'message.reaction',
      kind: 'reaction',
      type: 'm.reaction',
      message: '🎉',
      relates_to: first.event,
      removed: false,
    })
  })

  test('a reaction that is changed and removed', async () => {
    const react = (emoji: string) => friend.send({ reaction: { message: first.phone, emoji } })
    const reaction = { ...blank, event: 'message.reaction', kind: 'reaction', type: 'm.reaction' }
    await react('❤️')
    expect(await inbox.next()).toMatchObject({
      ...reaction,
      message: '🎉',
      removed: true,
      relates_to: first.event,
    })
    expect(await inbox.next()).toMatchObject({
      ...reaction,
      message: '❤️',
      removed: false,
      relates_to: first.event,
    })
    await react('')
    expect(await inbox.next()).toMatchObject({
      ...reaction,
      message: '❤️',
      removed: true,
      relates_to: first.event,
    })
  })

  test('edit', async () => {
    expect(await told({ edit: { message: first.phone, text: 'the corrected first' } })).toMatchObject({
      ...blank,
      event: 'message.edited',
      kind: 'edit',
      type: 'm.text',
      message: 'the corrected first',
      relates_to: first.event,
    })
  })

  test('redaction', async () => {
    expect(await told({ delete: first.phone })).toMatchObject({
      ...blank,
      event: 'message.deleted',
      kind: 'redaction',
      type: 'm.room.redaction',
      relates_to: first.event,
    })
  })

  test('nothing came twice', () => {
    const ids = inbox.receiver.received.map(({ json }) => (json as MessagePayload).id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(inbox.unread).toBe(0)
  })
})

describe('a file too large for the body', () => {
  test('comes by a signed address, which works until it expires and for this file alone', async () => {
    const { account, device, friend } = await scene()
    await using inbox = await InboxReader.open(account)
    const content = bytesOf(INLINE_MAX_BYTES + 1)
    await friend.send(formWith({ to: device }, { name: 'größe 1.bin', content }))
    const { media } = await inbox.next()
    expect(media).toMatchObject({ content: null, info: { size: content.length, file_name: 'größe 1.bin' } })

    const url = new URL(media?.url ?? '')
    expect(url.origin).toBe(gateway.url)
    const answer = await fetch(url)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-disposition')).toContain("filename*=UTF-8''gr%C3%B6%C3%9Fe%201.bin")
    expect(Buffer.from(await answer.arrayBuffer()).equals(Buffer.from(content))).toBe(true)

    const signature = url.searchParams.get('signature') ?? ''
    const expires = Number(url.searchParams.get('expires'))
    const forged = { signature: `${signature.slice(0, -1)}${signature.endsWith('A') ? 'B' : 'A'}` }
    for (const change of [forged, { signature: 'x' }, { expires: String(expires + 1) }]) {
      expect((await fetch(withQuery(url, change))).status).toBe(403)
    }
    await friend.send(
      formWith({ to: device }, { name: 'other.bin', content: bytesOf(INLINE_MAX_BYTES + 1, 2) }),
    )
    const other = new URL((await inbox.next()).media?.url ?? '')
    const swapped = new URL(url)
    swapped.pathname = other.pathname
    expect((await fetch(swapped)).status).toBe(403)

    gateway.clock.skip((URL_TTL_S + 1) * 1_000)
    expect((await fetch(url)).status).toBe(403)
  })

  test('a file of just the limit is in the body', async () => {
    const { account, device, friend } = await scene()
    await using inbox = await InboxReader.open(account)
    const content = bytesOf(INLINE_MAX_BYTES)
    await friend.send(formWith({ to: device }, { name: 'limit.bin', content }))
    const { media } = await inbox.next()
    expect(media?.content).toBe(Buffer.from(content).toString('base64'))
    expect(Buffer.from(await (await fetch(media?.url ?? '')).arrayBuffer()).equals(content)).toBe(true)
  })
})

describe('what is no message received', () => {
  test('own messages written on the linked phone', async () => {
    const { account, device, phone, friend } = await scene()
    await using inbox = await InboxReader.open(account)
    await phone.send({ to: friend.number, text: 'my own' })
    await friend.send({ to: device, text: 'the answer' })
    expect((await inbox.next()).message).toBe('the answer')
    await phone.send({ to: friend.number, text: 'my own again' })
    await friend.send({ to: device, text: 'the end' })
    expect((await inbox.next()).message).toBe('the end')
    expect(inbox.unread).toBe(0)
  })

  test('messages sent by the API', async () => {
    const { account, device, friend } = await scene()
    await using inbox = await InboxReader.open(account)
    await account.send(device, { contact: friend.number, text: 'sent' })
    await friend.waitForText('sent')
    await friend.send({ to: device, text: 'the end' })
    expect((await inbox.next()).message).toBe('the end')
    expect(inbox.unread).toBe(0)
  })

  test("what a bridge's bot says", async () => {
    const { account, device, phone, friend } = await scene()
    await account.link(phone.number, 'signal')
    await using inbox = await InboxReader.open(account)
    // The bot reports the log-out in its own room with the account.
    await client.setFaults({ platform: 'signal', logout: phone.number })
    const isLoggedOut = async () => (await account.devices()).some(({ state }) => state === 'logged_out')
    await waitFor(isLoggedOut, { what: 'the log-out to be known' })
    for (const text of ['one', 'two', 'three']) {
      await friend.send({ to: device, text })
      expect((await inbox.next()).message).toBe(text)
    }
    expect(inbox.unread).toBe(0)
  })

  test('history from before the linking', async () => {
    const phone = await client.newPhone()
    const friend = await client.newPhone()
    const group = await client.newGroup('Old friends', [phone.number, friend.number])
    for (const text of ['old', 'older']) await friend.send({ to: phone.number, text })
    await friend.send({ group: group.invite_link, text: 'old in the group' })
    gateway.clock.skip(10_000)
    const account = await client.account()
    await using inbox = await InboxReader.open(account)
    await account.link(phone.number)
    await friend.send({ to: phone.number, text: 'new' })
    await friend.send({ group: group.invite_link, text: 'new in the group' })
    const received = await inbox.take(2)
    expect(received.map(({ message }) => message).sort()).toEqual(['new', 'new in the group'])
    expect(inbox.unread).toBe(0)
    using database = new Database(join(gateway.directory, 'data', 'meshgate.db'), { readonly: true })
    const stored = database.query<{ text: string }, [string]>(
      `SELECT m.text FROM chat_messages m JOIN devices d ON d.id = m.device_row_id
       WHERE d.login_id = ? ORDER BY m.sent_at`,
    )
    const texts = stored.all(phone.number).map(({ text }) => text)
    expect(texts.slice(0, 3)).toEqual(['old', 'older', 'old in the group'])
    expect(texts.slice(3).sort()).toEqual(['new', 'new in the group'])
  })
})

describe('who writes', () => {
  test('is a contact or not', async () => {
    const friend = await client.newPhone()
    const stranger = await client.newPhone()
    const { account, device } = await client.linkedAccount({
      contacts: [{ phone: friend.number, name: 'Best Friend' }],
    })
    await using inbox = await InboxReader.open(account)
    await friend.send({ to: device, text: 'you know me' })
    expect(await inbox.next()).toMatchObject({ is_contact: true, sender: { name: 'Best Friend' } })
    await stranger.send({ to: device, text: "you don't" })
    expect(await inbox.next()).toMatchObject({ is_contact: false, sender: { phone: stranger.number } })
  })

  test('writes in a group, which has one chat id for all', async () => {
    const { account, device, friend } = await scene()
    const other = await client.newPhone()
    const group = await client.newGroup('Book club', [device, friend.number, other.number])
    await using inbox = await InboxReader.open(account)
    await friend.send({ group: group.invite_link, text: 'chapter one' })
    await other.send({ group: group.invite_link, text: 'chapter two' })
    const [one, two] = await inbox.take(2)
    expect(one).toMatchObject({
      message: 'chapter one',
      device_id: device,
      chat: { kind: 'group', name: 'Book club' },
      sender: { phone: friend.number },
    })
    expect(two).toMatchObject({ message: 'chapter two', sender: { phone: other.number } })
    expect(two?.chat.id).toBe(one?.chat.id ?? '')
  })

  test.each(['signal', 'telegram'] as const)('on %s', async platform => {
    const phone = await client.newPhone()
    const friend = await client.newPhone()
    const account = await client.account()
    await account.link(phone.number, platform)
    await using inbox = await InboxReader.open(account)
    await friend.send({ to: phone.number, platform, text: 'hello' })
    expect(await inbox.next()).toMatchObject({
      message: 'hello',
      platform,
      device_id: phone.number,
      from: expect.stringMatching(new RegExp(`^@${platform}_`)),
    })
  })
})

describe('order', () => {
  test('of 200 messages in one chat', async () => {
    const { account, device, friend } = await scene()
    await using inbox = await InboxReader.open(account)
    const texts = Array.from({ length: 200 }, (_, index) => `number ${index}`)
    for (const text of texts) await friend.send({ to: device, text })
    expect((await inbox.take(200)).map(({ message }) => message)).toEqual(texts)
  })

  test.each([1, 2, 3])('within each of several chats at once (seed %p)', async seed => {
    const random = randomFrom(seed)
    const { account, device, friend } = await scene()
    const other = await client.newPhone()
    const group = await client.newGroup('All', [device, friend.number, other.number])
    const chats = [
      { sender: friend, where: { to: device } },
      { sender: other, where: { to: device } },
      { sender: friend, where: { group: group.invite_link } },
      { sender: other, where: { group: group.invite_link } },
    ]
    await using inbox = await InboxReader.open(account)
    const sent = new Map<number, string[]>()
    for (let count = 0; count < 60; count++) {
      const chosen = Math.floor(random() * chats.length)
      const { sender, where } = chats[chosen] ?? { sender: friend, where: { to: device } }
      const text = `${chosen}:${count}`
      const isFile = random() < 0.2
      await sender.send(
        isFile
          ? formWith({ ...where, text } as Record<string, string>, {
              name: 'a.png',
              type: 'image/png',
              content: pngOf(8, 8),
            })
          : { ...where, text },
      )
      // Both senders in the group write into one chat.
      const chat = Math.min(chosen, 2)
      sent.set(chat, [...(sent.get(chat) ?? []), text])
    }
    const received = Map.groupBy(
      (await inbox.take(60)).map(({ message }) => message),
      message => Math.min(Number(message.split(':')[0]), 2),
    )
    expect(received).toEqual(sent)
  })
})

describe('webhooks', () => {
  test('a failed delivery is tried again: the same id and body, and what follows waits', async () => {
    const { account, device, friend } = await scene()
    const { promise: allSent, resolve: sentAll } = Promise.withResolvers<void>()
    await using inbox = await InboxReader.open(account, async (_request, index) => {
      // Meanwhile the other messages queue up.
      if (index === 0) await allSent
      return index === 1 ? new Response('sorry', { status: 500 }) : new Response('ok')
    })
    await friend.send({ to: device, text: 'the first' })
    expect((await inbox.next()).message).toBe('the first')
    await using witness = await InboxReader.open(account)
    const texts = ['tried twice', 'after it', 'and after that']
    for (const text of texts) await friend.send({ to: device, text })
    await witness.take(3)
    sentAll()
    await skipRetriesUntil(() => inbox.receiver.received.length === 5)
    const [, failed, again, next] = inbox.receiver.received
    expect(again?.headers.get('webhook-id')).toBe(failed?.headers.get('webhook-id') ?? '')
    expect(again?.text).toBe(failed?.text ?? '')
    expect(next?.headers.get('webhook-id')).not.toBe(failed?.headers.get('webhook-id') ?? '')
    expect((await inbox.take(4)).map(({ message }) => message)).toEqual(['tried twice', ...texts])
  })

  test('an endpoint that is not there yet gets it later', async () => {
    const { account, device, friend } = await scene()
    await using witness = await InboxReader.open(account)
    const gone = await InboxReader.open(account)
    const { port } = new URL(gone.receiver.url)
    await gone[Symbol.asyncDispose]()
    await friend.send({ to: device, text: 'are you there?' })
    await friend.send({ to: device, text: 'for the witness' })
    await witness.take(2)
    const received: string[] = []
    const server = Bun.serve({
      port: Number(port),
      hostname: '127.0.0.1',
      async fetch(request) {
        received.push(((await request.json()) as MessagePayload).message)
        return new Response('ok')
      },
    })
    await skipRetriesUntil(() => received.length === 2)
    expect(received).toEqual(['are you there?', 'for the witness'])
    await server.stop(true)
  })

  test('410 switches an endpoint off; switched on again, it gets what waited', async () => {
    const { account, device, friend } = await scene()
    await using witness = await InboxReader.open(account)
    let status = 410
    await using gone = await InboxReader.open(account, () => new Response('', { status }))
    await friend.send({ to: device, text: 'unwanted' })
    await gone.next()
    const isActive = async () => {
      const { body } = await account.api.get<{ id: number; active: boolean }[]>('/api/v1/webhooks')
      return body.find(({ id }) => id === gone.webhookId)?.active
    }
    await waitFor(async () => (await isActive()) === false, { what: 'the webhook to be switched off' })
    await friend.send({ to: device, text: 'nor this' })
    await witness.take(2)
    gateway.clock.skip(FIRST_RETRY_MS)
    await friend.send({ to: device, text: 'nor that' })
    await witness.next()
    expect(gone.unread).toBe(0)

    status = 200
    await account.api.put(`/api/v1/webhooks/${gone.webhookId}`, { active: true })
    expect(await isActive()).toBe(true)
    expect((await gone.next()).message).toBe('unwanted')
  })

  test('an inactive one gets nothing, a deleted one neither', async () => {
    const { account, device, friend } = await scene()
    await using inactive = await InboxReader.open(account)
    await using deleted = await InboxReader.open(account)
    await using witness = await InboxReader.open(account)
    await account.api.put(`/api/v1/webhooks/${inactive.webhookId}`, { active: false })
    await account.api.delete(`/api/v1/webhooks/${deleted.webhookId}`)
    for (const text of ['one', 'two', 'three']) await friend.send({ to: device, text })
    await witness.take(3)
    expect(inactive.unread).toBe(0)
    expect(deleted.unread).toBe(0)
  })

  test('two of them both get everything, a slow one delays no other', async () => {
    const { account, device, friend } = await scene()
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    await using fast = await InboxReader.open(account)
    await using slow = await InboxReader.open(account, async () => {
      await released
      return new Response('at last')
    })
    const texts = Array.from({ length: 30 }, (_, index) => `text ${index}`)
    for (const text of texts) await friend.send({ to: device, text })
    expect((await fast.take(30)).map(({ message }) => message)).toEqual(texts)
    expect(slow.unread).toBeLessThanOrEqual(1)
    release()
    expect((await slow.take(30)).map(({ message }) => message)).toEqual(texts)
  })

  test('tokens that share the host share its devices and webhooks; others see nothing of them', async () => {
    const phone = await client.newPhone()
    const friend = await client.newPhone()
    const shared = await client.account(true)
    const stranger = await client.account()
    await host.link(phone.number)
    expect((await shared.devices()).map(({ device_id }) => device_id)).toEqual([phone.number])
    expect(await stranger.devices()).toEqual([])
    await using ofHost = await InboxReader.open(host)
    await using ofShared = await InboxReader.open(shared)
    await using ofStranger = await InboxReader.open(stranger)
    await friend.send({ to: phone.number, text: 'for both' })
    expect((await ofHost.next()).message).toBe('for both')
    expect((await ofShared.next()).message).toBe('for both')
    const hooks = async (account: Account) =>
      (await account.api.get<{ id: number }[]>('/api/v1/webhooks')).body.map(({ id }) => id)
    expect(await hooks(shared)).toEqual(await hooks(host))
    expect(ofStranger.unread).toBe(0)
    await shared.send(phone.number, { contact: friend.number, text: 'from the other token' })
    await friend.waitForText('from the other token')
  })

  test('two devices of one identity, each message from the right one', async () => {
    const account = await client.account()
    const phones = [await client.newPhone(), await client.newPhone()]
    for (const { number } of phones) await account.link(number)
    const friend = await client.newPhone()
    await using inbox = await InboxReader.open(account)
    for (const { number } of phones) {
      await friend.send({ to: number, text: `to ${number}` })
      expect(await inbox.next()).toMatchObject({ device_id: number, message: `to ${number}` })
    }
  })
})

/** Skips repeatedly, as the wait begins at an unknown time, when the gateway stores the failure. */
async function skipRetriesUntil(condition: () => boolean): Promise<void> {
  for (let skips = 0; skips < 10; skips++) {
    gateway.clock.skip(FIRST_RETRY_MS)
    await waitFor(condition, { deadlineMs: 1_000 }).catch(() => undefined)
    if (condition()) return
  }
  throw new Error('the delivery was not tried again')
}

function withQuery(url: URL, change: Record<string, string>): URL {
  const changed = new URL(url)
  for (const [name, value] of Object.entries(change)) changed.searchParams.set(name, value)
  return changed
}
