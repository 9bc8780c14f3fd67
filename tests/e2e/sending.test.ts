/** From the API to phones: recipients in every form, files, replies, order, and refusals. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { bytesOf, pngOf, randomFrom } from '../support/files.ts'
import {
  type Account,
  formWith,
  type GatewayClient,
  type Phone,
  type PhoneMessage,
} from '../support/gateway-client.ts'
import { InboxReader } from '../support/inbox-reader.ts'
import { bearer } from '../support/json-client.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

const MIB = 1024 * 1024
const MAX_BYTES = 24 * MIB
const DEADLINE_MS = 30_000

let gateway: TestGateway
let client: GatewayClient
let account: Account
let device: string
let phone: Phone

beforeAll(async () => {
  gateway = await testGateway({ MEDIA_MAX_BYTES: String(MAX_BYTES) })
  client = gateway.client
  ;({ account, device, phone } = await client.linkedAccount())
})

afterAll(() => gateway[Symbol.asyncDispose]())

describe('recipients', () => {
  test('each gets a message of its own, answered in their order as they were written', async () => {
    const friends = [await client.newPhone(), await client.newPhone(), await client.newPhone()]
    const written = friends.map(({ number }) => `+${number}`)
    const accepted = await account.send(device, { contact: written.join(' ,'), text: 'to all' })
    expect(accepted.map(({ to }) => to)).toEqual(written)
    expect(accepted.every(({ status }) => status === 'queued')).toBe(true)
    expect(new Set(accepted.map(({ id }) => id)).size).toBe(3)
    for (const [index, friend] of friends.entries()) {
      await friend.waitForText('to all')
      const message = await account.waitForStatus(accepted[index]?.id ?? '', ['delivered', 'read'])
      expect(message).toMatchObject({ platform: 'wa', device_id: device, to: written[index], reason: null })
      expect(message.event_id).toStartWith('$')
      expect(await friend.received()).toHaveLength(1)
    }
  })

  test('the same number in any writing is the same chat', async () => {
    const { number } = await client.newPhone()
    const [country, rest] = [number.slice(0, 3), number.slice(3)]
    const writings = [
      number,
      `+${number}`,
      ` +${country} ${rest.slice(0, 4)} ${rest.slice(4)} `,
      `${country}-${rest.slice(0, 2)}-${rest.slice(2)}`,
      `+${country} (${rest.slice(0, 3)}) ${rest.slice(3)}`,
      `${country}.${rest}`,
      `00${number}`,
      `tel:+${country}-${rest}`,
      `+${country} (0) ${rest}`,
      `${number}@c.us`,
      `${number}:3@s.whatsapp.net`,
      `\u202a+${country}\u2011${rest}\u202c`,
      `+${country}\u200b${rest}`,
      [...number].map(digit => String.fromCodePoint(0xff10 + Number(digit))).join(''),
      [...number].map(digit => String.fromCodePoint(0x0660 + Number(digit))).join(''),
      `@whatsapp_${number}:localhost`,
    ]
    for (const [index, contact] of writings.entries())
      await account.send(device, { contact, text: `${index}` })
    await client.phone(number).waitForText(`${writings.length - 1}`)
    const texts = (await client.phone(number).received()).map(({ text }) => text)
    expect(texts).toEqual(writings.map((_, index) => `${index}`))
  })

  test('a device is named by its digits, with a plus, or as the path has it encoded', async () => {
    const friend = await client.newPhone()
    const pasted = encodeURIComponent(`\u202a+${device.slice(0, 3)}\u2011${device.slice(3)}\u202c`)
    for (const name of [device, `+${device}`, `%2B${device}`, pasted]) {
      await account.send(name, { contact: friend.number, text: name })
      await friend.waitForText(name)
    }
  })

  test('a repeated recipient gets it once', async () => {
    const friend = await client.newPhone()
    const accepted = await account.send(device, {
      contact: `${friend.number}, ${friend.number},, `,
      text: 'once',
    })
    expect(accepted).toHaveLength(1)
    await account.send(device, { contact: friend.number, text: 'the end' })
    await friend.waitForText('the end')
    expect((await friend.received()).map(({ text }) => text)).toEqual(['once', 'the end'])
  })

  test('one person in three spellings gets it once, answered as first written', async () => {
    const { number } = await client.newPhone()
    const spellings = [
      `+${number.slice(0, 3)} ${number.slice(3)}`,
      `00${number}`,
      `@whatsapp_${number}:localhost`,
    ]
    for (let first = 0; first < spellings.length; first++) {
      const [written = '', ...others] = [...spellings.slice(first), ...spellings.slice(0, first)]
      const contact = [written, ...others].join(',')
      const accepted = await account.send(device, { contact, text: `${first}` })
      expect(accepted.map(({ to }) => to)).toEqual([written])
    }
    await client.phone(number).waitForText('2')
    expect((await client.phone(number).received()).map(({ text }) => text)).toEqual(['0', '1', '2'])
  })

  test('one who is not there fails with a reason, the others get theirs', async () => {
    const before = await client.newPhone()
    const after = await client.newPhone()
    const accepted = await account.send(device, {
      contact: `${before.number}, +999 000 111, nobody, ${after.number}`,
      text: 'anybody?',
    })
    await before.waitForText('anybody?')
    await after.waitForText('anybody?')
    for (const index of [1, 2]) {
      const failed = await account.waitForStatus(accepted[index]?.id ?? '', ['failed'])
      expect(failed.reason).toContain(`${accepted[index]?.to} isn't on wa`)
    }
    for (const index of [0, 3]) await account.waitForStatus(accepted[index]?.id ?? '', ['delivered'])
  })

  test('a group by its link, by its id and by its room', async () => {
    const friend = await client.newPhone()
    const group = await client.newGroup('Choir', [friend.number])
    await using inbox = await InboxReader.open(account)
    const [byLink] = await account.send(device, { group_url: `${group.invite_link}/`, text: 'by link' })
    await friend.waitForText('by link')
    await account.waitForStatus(byLink?.id ?? '', ['delivered'])
    await friend.send({ group: group.invite_link, text: 'welcome' })
    const { chat } = await inbox.next()
    expect(chat).toMatchObject({ kind: 'group', name: 'Choir' })
    await account.send(device, { group_url: group.id, text: 'by id' })
    await friend.waitForText('by id')
    await account.send(device, { group_url: chat.id, text: 'by room' })
    await friend.waitForText('by room')
    const seen = (await friend.received()).map(({ chat: where, text }) => ({ where, text }))
    expect(seen).toEqual(['by link', 'by id', 'by room'].map(text => ({ where: group.id, text })))
  })

  test('a chat by its id alone, which its first send was answered with or shows later', async () => {
    const friend = await client.newPhone()
    const [first] = await account.send(device, { contact: friend.number, text: 'one' })
    const { chat_id } = await account.waitForStatus(first?.id ?? '', ['delivered'])
    expect(chat_id).toStartWith('chat_')
    const body = { chat_id, text: 'two' }
    const answer = await account.api.post<{ messages: unknown[] }>(`/api/v1/devices/${device}/message`, body)
    expect(answer).toMatchObject({ status: 200, body: { messages: [{ to: chat_id, chat_id }] } })
    await friend.waitForText('two')
    expect(await account.send(device, { contact: friend.number, text: 'three' })).toMatchObject([{ chat_id }])
    await friend.waitForText('three')
    expect((await friend.received()).map(({ text }) => text)).toEqual(['one', 'two', 'three'])
    const other = await client.linkedAccount()
    expect(await other.account.trySend(other.device, { ...body, chat_id: chat_id ?? '' })).toMatchObject({
      status: 404,
      body: { error: `chat_id: there is no chat ${chat_id}` },
    })
  })

  test('group_url wins over contact; several groups each get it; an unknown one fails', async () => {
    const friend = await client.newPhone()
    const bystander = await client.newPhone()
    const groups = [
      await client.newGroup('One', [friend.number]),
      await client.newGroup('Two', [friend.number]),
    ]
    const accepted = await account.send(device, {
      contact: bystander.number,
      group_url: [...groups.map(({ invite_link }) => invite_link), 'https://chat.whatsapp.com/unknown'].join(
        ', ',
      ),
      text: 'to the groups',
    })
    expect(accepted).toHaveLength(3)
    await waitFor(async () => (await friend.received()).length === 2, { deadlineMs: DEADLINE_MS })
    const chats = (await friend.received()).map(({ chat }) => chat)
    expect(chats.sort()).toEqual(groups.map(({ id }) => id).sort())
    expect((await account.waitForStatus(accepted[2]?.id ?? '', ['failed'])).reason).toBeTruthy()
    expect(await bystander.messages()).toEqual([])
  })

  test.each(['signal', 'telegram'] as const)('on %s', async platform => {
    const linked = await client.linkedAccount({ platform })
    const friend = await client.newPhone()
    const group = await client.newGroup('Abroad', [friend.number], platform)
    await linked.account.send(linked.device, { platform, contact: `+${friend.number}`, text: 'hello' })
    await friend.waitForText('hello')
    await linked.account.send(linked.device, { platform, group_url: group.invite_link, text: 'hello all' })
    expect((await friend.waitForText('hello all')).chat).toBe(group.id)
    expect(await linked.account.trySend(linked.device, { contact: friend.number, text: 'x' })).toMatchObject({
      status: 404,
    })
  })
})

describe('replies', () => {
  test("quote the message on the phone, by the webhook's id", async () => {
    const friend = await client.newPhone()
    await using inbox = await InboxReader.open(account)
    const asked = await friend.send({ to: device, text: 'shall we meet?' })
    const { id, from } = await inbox.next()
    await account.send(device, { contact: friend.number, text: 'yes', reply_id: id })
    expect(await friend.waitForText('yes')).toMatchObject({ reply_to: asked.id })
    // The sender's Matrix id from the webhook is an address, too.
    await account.send(device, { contact: from, text: 'at nine' })
    expect(await friend.waitForText('at nine')).toMatchObject({ reply_to: null })
  })

  test('in a group, with a file', async () => {
    const friend = await client.newPhone()
    const group = await client.newGroup('Plans', [device, friend.number])
    await using inbox = await InboxReader.open(account)
    const asked = await friend.send({ group: group.invite_link, text: 'who has the map?' })
    const { id } = await inbox.next()
    const fields = { group_url: group.invite_link, platform: 'wa', text: 'here', reply_id: id }
    await account.send(device, formWith(fields, { name: 'map.png', content: pngOf(4, 4) }))
    expect(await friend.waitForText('here')).toMatchObject({ reply_to: asked.id, type: 'image' })
  })

  test('may name a message by the id that its send was answered with, at once and in another chat, too', async () => {
    const [friend, other] = [await client.newPhone(), await client.newPhone()]
    const [question] = await account.send(device, { contact: friend.number, text: 'who comes?' })
    const reply_id = question?.id ?? ''
    await account.send(device, { contact: friend.number, text: 'say soon', reply_id })
    const asked = await friend.waitForText('who comes?')
    expect(await friend.waitForText('say soon')).toMatchObject({ reply_to: asked.id })
    const [elsewhere] = await account.send(device, { contact: other.number, text: 'and you?', reply_id })
    await account.waitForStatus(elsewhere?.id ?? '', ['delivered'])
  })

  test.each(['yes', 'msg_unknown', '$unknown'])('to %p are refused', async reply_id => {
    const answer = await account.trySend(device, { contact: '4915199999', text: 'x', reply_id })
    expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } })
    expect(answer.body.error).toStartWith('reply_id: ')
  })

  test('to one another: what was sent can be replied to on the phone', async () => {
    const friend = await client.newPhone()
    await using inbox = await InboxReader.open(account)
    const [sent] = await account.send(device, { contact: friend.number, text: 'question' })
    const question = await friend.waitForText('question')
    const { event_id } = await account.waitForStatus(sent?.id ?? '', ['delivered'])
    await friend.send({ to: device, text: 'answer', reply_to: question.id })
    expect((await inbox.next()).reply_to).toBe(event_id)
  })
})

describe('files', () => {
  test.each([
    ['photo.jpg', '', 'image', 'image/jpeg'],
    ['view.png', 'image/png', 'image', 'image/png'],
    ['clip.mp4', '', 'video', 'video/mp4'],
    ['song.mp3', '', 'audio', 'audio/mpeg'],
    ['report.pdf', '', 'file', 'application/pdf'],
    ['notes.txt', 'application/octet-stream', 'file', 'text/plain'],
    ['data.unknownkind', '', 'file', 'application/octet-stream'],
    ['Überblick 2026 (final).pdf', '', 'file', 'application/pdf'],
  ])('%s of type "%s" comes as %s', async (name, declared, type, mimeType) => {
    const friend = await client.newPhone()
    const content = name.endsWith('.png') ? pngOf(20, 10) : bytesOf(3_000)
    const file = { name, content, ...(declared ? { type: declared } : {}) }
    await account.send(device, formWith({ contact: friend.number, platform: 'wa' }, file))
    const message = await friend.waitForMessage(({ file }) => file !== null)
    expect(message).toMatchObject({
      type,
      text: '',
      file: { name, mime_type: mimeType, size: content.length },
    })
    if (name.endsWith('.png')) expect(message.file?.width).toBe(20)
    expect(await downloaded(message)).toEqual(Buffer.from(content))
  })

  test('a caption and its file are one message, for each of several recipients', async () => {
    const friends = [await client.newPhone(), await client.newPhone(), await client.newPhone()]
    const contact = friends.map(({ number }) => number).join(',')
    const content = bytesOf(50_000)
    await account.send(
      device,
      formWith({ contact, platform: 'wa', text: 'read this' }, { name: 'plan.pdf', content }),
    )
    for (const friend of friends) {
      const message = await friend.waitForText('read this')
      expect(message.file).toMatchObject({ name: 'plan.pdf', size: content.length })
      expect(await downloaded(message)).toEqual(Buffer.from(content))
      expect(await friend.received()).toHaveLength(1)
    }
  })

  test('a form without a file is a text', async () => {
    const friend = await client.newPhone()
    await account.send(device, formWith({ contact: friend.number, platform: 'wa', text: 'just text' }))
    expect(await friend.waitForText('just text')).toMatchObject({ type: 'text', file: null })
  })

  test('of the largest size arrives byte for byte', async () => {
    const friend = await client.newPhone()
    const content = bytesOf(MAX_BYTES)
    await account.send(
      device,
      formWith({ contact: friend.number, platform: 'wa' }, { name: 'large.bin', content }),
    )
    const message = await friend.waitForMessage(({ file }) => file !== null)
    expect(message.file?.size).toBe(MAX_BYTES)
    expect(sha256(await downloaded(message))).toBe(sha256(content))
  })

  test('text and files to one chat keep their order', async () => {
    const friend = await client.newPhone()
    const texts = Array.from({ length: 12 }, (_, index) => `part ${index}`)
    for (const [index, text] of texts.entries()) {
      const fields = { contact: friend.number, platform: 'wa', text }
      const isFile = index % 3 === 0
      await account.send(
        device,
        isFile ? formWith(fields, { name: 'part.png', content: pngOf(100, 100) }) : fields,
      )
    }
    await friend.waitForText('part 11')
    expect((await friend.received()).map(({ text }) => text)).toEqual(texts)
  })
})

describe('order', () => {
  test('300 messages, interleaved over chats, are on each phone in order and once', async () => {
    const friends = await Promise.all(Array.from({ length: 6 }, () => client.newPhone()))
    const group = await client.newGroup(
      'Everybody',
      friends.slice(0, 3).map(({ number }) => number),
    )
    const random = randomFrom(7)
    const sent = new Map<string, string[]>()
    for (let count = 0; count < 300; count++) {
      const key = friends[Math.floor(random() * 7)]?.number ?? group.id
      sent.set(key, [...(sent.get(key) ?? []), `text ${count}`])
    }
    // Chats run at the same time, each one's messages one after the other.
    await Promise.all(
      [...sent].map(async ([key, texts]) => {
        const recipient = key === group.id ? { group_url: group.invite_link } : { contact: key }
        for (const text of texts) await account.send(device, { ...recipient, text })
      }),
    )
    expect(sent.size).toBe(7)
    await waitFor(async () => (await textsOf(phone, sent)).length === 300, {
      what: '300 messages on the phones',
      deadlineMs: DEADLINE_MS,
    })
    for (const friend of friends) {
      const direct = (await friend.received()).filter(({ chat }) => chat === device).map(({ text }) => text)
      expect(direct).toEqual(sent.get(friend.number) ?? [])
    }
    for (const member of friends.slice(0, 3)) {
      const inGroup = (await member.received()).filter(({ chat }) => chat === group.id)
      expect(inGroup.map(({ text }) => text)).toEqual(sent.get(group.id) ?? [])
    }
  })

  test('sends that come at once are all accepted, each sent once', async () => {
    const friend = await client.newPhone()
    const texts = Array.from({ length: 100 }, (_, index) => `burst ${index}`)
    const answers = await Promise.all(
      texts.map(text => account.trySend(device, { contact: friend.number, text })),
    )
    expect(answers.map(({ status }) => status)).toEqual(texts.map(() => 200))
    await waitFor(async () => (await friend.received()).length >= 100, { deadlineMs: DEADLINE_MS })
    await account.send(device, { contact: friend.number, text: 'the end' })
    await friend.waitForText('the end')
    const received = (await friend.received()).map(({ text }) => text)
    expect(received.slice(0, -1).sort()).toEqual([...texts].sort())
  })
})

describe('what the network says', () => {
  test('a message that the bridge refuses has failed, with its reason', async () => {
    const linked = await client.linkedAccount({ platform: 'telegram' })
    const friend = await client.newPhone()
    await client.setFaults({
      platform: 'telegram',
      fail_next: 1,
      fail_reason: 'm.no_permission',
      retriable: false,
    })
    const fields = { platform: 'telegram', contact: friend.number }
    const [refused] = await linked.account.send(linked.device, { ...fields, text: 'refused' })
    const failed = await linked.account.waitForStatus(refused?.id ?? '', ['failed'])
    expect(failed.reason).toContain('m.no_permission')
    await linked.account.send(linked.device, { ...fields, text: 'taken' })
    await friend.waitForText('taken')
    expect((await friend.received()).map(({ text }) => text)).toEqual(['taken'])
  })

  test('a phone that answers by itself has read it', async () => {
    const friend = await client.newPhone({ echo: true })
    const [sent] = await account.send(device, { contact: friend.number, text: 'read me' })
    expect(await account.waitForStatus(sent?.id ?? '', ['read'])).toMatchObject({ reason: null })
    await phone.waitForText('echo: read me')
  })

  test('GET /messages lists the newest first, in pages', async () => {
    const linked = await client.linkedAccount()
    const friend = await client.newPhone()
    const ids: string[] = []
    for (let count = 0; count < 5; count++) {
      const [sent] = await linked.account.send(linked.device, { contact: friend.number, text: `${count}` })
      ids.unshift(sent?.id ?? '')
    }
    const page = async (query: string) =>
      (await linked.account.api.get<{ id: string }[]>(`/api/v1/messages${query}`)).body.map(({ id }) => id)
    expect(await page('')).toEqual(ids)
    expect(await page('?limit=2')).toEqual(ids.slice(0, 2))
    expect(await page(`?limit=2&before=${ids[1]}`)).toEqual(ids.slice(2, 4))
    const other = await client.account()
    expect((await other.api.get(`/api/v1/messages/${ids[0]}`)).status).toBe(404)
  })
})

describe('refused', () => {
  const friend = '4915199999'
  const good = { contact: friend, platform: 'wa', text: 'hello' }

  test.each<[string, Record<string, unknown>, number, string]>([
    [
      'no recipient',
      { platform: 'wa', text: 'x' },
      400,
      'Missing required field: contact, group_url or chat_id',
    ],
    [
      'an empty recipient',
      { ...good, contact: ' , ' },
      400,
      'Missing required field: contact, group_url or chat_id',
    ],
    ['no platform', { contact: friend, text: 'x' }, 400, 'platform'],
    [
      'neither text nor file',
      { contact: friend, platform: 'wa' },
      400,
      'Either text or file must be provided',
    ],
    ['an empty text', { ...good, text: '' }, 400, 'Either text or file must be provided'],
    ['a text that is none', { ...good, text: 5 }, 400, 'text'],
    ['too long a text', { ...good, text: 'x'.repeat(65_537) }, 400, 'text'],
    [
      'another platform than the device is on',
      { ...good, platform: 'signal' },
      404,
      'there is no signal device',
    ],
    [
      'a platform that there is none of',
      { ...good, platform: 'whatsapp' },
      400,
      'platform: "whatsapp" is unknown: expected one of wa, signal, telegram',
    ],
  ])('%s', async (_what, body, status, message) => {
    const answer = await account.api.post<{ error: string; code: string; request_id: string }>(
      `/api/v1/devices/${device}/message`,
      body,
    )
    expect(answer.status).toBe(status)
    expect(answer.body.error).toContain(message)
    expect(Object.keys(answer.body)).toEqual(['error', 'code', 'request_id'])
  })

  test('an unknown device, as JSON and as a form', async () => {
    expect(await account.trySend('4900000001', good)).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    })
    const form = formWith(good, { name: 'a.pdf', content: bytesOf(10) })
    expect(await account.trySend('4900000001', form)).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    })
  })

  test("another identity's device", async () => {
    const stranger = await client.account()
    expect((await stranger.trySend(device, good)).status).toBe(404)
  })

  test.each([
    ['without extension', 'document'],
    ['with nothing but a dot at its end', 'document.'],
  ])('a file %s', async (_what, name) => {
    const answer = await account.trySend(device, formWith(good, { name, content: bytesOf(10) }))
    expect(answer).toMatchObject({ status: 400, body: { error: 'Uploaded file must have a file extension' } })
  })

  test.each([1, 3 * MIB])('a file %p bytes too large', async excess => {
    const content = new Uint8Array(MAX_BYTES + excess)
    const answer = await account.trySend(device, formWith(good, { name: 'large.bin', content }))
    expect(answer).toMatchObject({ status: 413, body: { code: 'payload_too_large' } })
  })

  test.each<[string, string | undefined, string, number]>([
    ['what is no JSON', 'application/json', '{"contact": ', 400],
    ['JSON that is no object', 'application/json', '["contact"]', 400],
    ['a form without boundary', 'multipart/form-data', 'x', 415],
    ['another type', 'text/plain', 'contact=1', 415],
    ['a form that was cut off', 'multipart/form-data; boundary=B', '--B\r\nContent-Disposition: form', 400],
  ])('%s', async (_what, contentType, body, status) => {
    const answer = await fetch(`${gateway.url}/api/v1/devices/${device}/message`, {
      method: 'POST',
      headers: {
        authorization: bearer(account.token),
        ...(contentType ? { 'content-type': contentType } : {}),
      },
      body,
    })
    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatchObject({ error: expect.any(String), request_id: expect.any(String) })
  })

  test('nothing of all that was sent or kept', async () => {
    const messages = await account.api.get<{ to: string }[]>('/api/v1/messages?limit=500')
    expect(messages.body.filter(({ to }) => to === friend)).toEqual([])
    expect(await client.phone(friend).messages()).toEqual([])
  })
})

async function downloaded(message: PhoneMessage): Promise<Buffer> {
  return Buffer.from(await (await fetch(gateway.url + message.file?.url)).arrayBuffer())
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Texts that the device's own phone shows as sent, out of `sent`. */
async function textsOf(sender: Phone, sent: Map<string, string[]>): Promise<string[]> {
  const wanted = new Set([...sent.values()].flat())
  return (await sender.messages()).map(({ text }) => text).filter(text => wanted.has(text))
}
