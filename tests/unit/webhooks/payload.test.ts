/** The body of a delivery when the file that came with the message can't be had. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Device, Media } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { Contact } from '../../../src/modules/chats/people-repository.ts'
import type { Senders, StoredEventRow } from '../../../src/modules/events/events.ts'
import type { AnsweredMessage } from '../../../src/modules/history/answered-repository.ts'
import { createPayloads } from '../../../src/modules/webhooks/payload.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

const STORED = {
  event: 'message.received',
  kind: 'message',
  message: 'look',
  sender: { phone: null },
  reply_to: null,
  media: { name: 'a.png' },
}
const EVENT: StoredEventRow = {
  identityId: 'id_1',
  eventId: '$1',
  senderUserId: '@a:s',
  mediaId: 'file_1',
  deviceRowId: 'dev_1',
  payload: JSON.stringify(STORED),
}
const FILE = { sizeBytes: 3, width: 1, height: 1, blurHash: '' } as Media

let folder: TempDir
beforeEach(() => {
  folder = tempDir()
})
afterEach(() => folder[Symbol.dispose]())

function payloads(
  fetchIncoming: () => Promise<Media>,
  phoneOf: (userId: string) => Promise<string | null> = async () => null,
  answered: AnsweredMessage | null = null,
) {
  const made = createPayloads({
    devices: { get: async () => ({ phone: '237', name: 'Me', ownName: null }) as Device },
    answered: async (_identityId, eventId) => (eventId === '$answered' ? answered : null),
    contacts: {
      lookUp: async (_device, _userId, known) => (known ? ({ phone: 'of the book' } as Contact) : null),
    },
    phones: { of: (_device, userId) => phoneOf(userId) },
    media: { fetchIncoming, signedPath: id => `/${id}`, pathOf: id => folder.file(id) },
    publicUrl: () => 'http://here',
    inlineMaxBytes: 10,
  })
  return { of: async (...event: Parameters<typeof made.of>) => JSON.parse(await made.of(...event)) }
}

test('the file stands in it', async () => {
  await Bun.write(folder.file('file_1'), 'abc')
  const payload = await payloads(async () => FILE).of(EVENT)
  expect(payload).toMatchObject({ media: { content: 'YWJj', info: { size: 3 } } })
})

test('a sender whose number became known since the event has it, and is a contact by it', async () => {
  const of = payloads(
    async () => FILE,
    async () => '237611111',
  )
  expect(await of.of(EVENT)).toMatchObject({ is_contact: true, sender: { phone: '237611111' } })
  expect(await payloads(async () => FILE).of(EVENT)).toMatchObject({
    is_contact: false,
    sender: { phone: null },
  })
})

describe('an answer', () => {
  const REPLY = { ...EVENT, payload: JSON.stringify({ ...STORED, to: '@mg1:s', reply_to: '$answered' }) }
  const asIt = (answered: AnsweredMessage | null) =>
    payloads(
      async () => FILE,
      async () => '237611111',
      answered,
    ).of(REPLY)
  const said = {
    text: 'at eight?',
    deviceRowId: 'dev_1',
    senderUserId: '@ada:s',
    messageId: null,
    metadata: null,
  }

  test('tells what it answers: of one’s own also its id and what was noted with it', async () => {
    expect(await asIt({ ...said, direction: 'in' })).toMatchObject({
      reply_to_message_id: null,
      quoted: { text: 'at eight?', sender: { id: '@ada:s', phone: '237611111' } },
      metadata: null,
    })
    const own = { ...said, direction: 'out', messageId: 'msg_1', metadata: { order: '4711' } } as const
    expect(await asIt(own)).toMatchObject({
      reply_to_message_id: 'msg_1',
      quoted: { text: 'at eight?', sender: { id: '@mg1:s', phone: '237', name: 'Me' } },
      metadata: { order: '4711' },
    })
  })

  test('says so when that isn’t kept; what is no answer says nothing of it', async () => {
    expect(await asIt(null)).toMatchObject({ reply_to_message_id: null, quoted: null, metadata: null })
    expect(await payloads(async () => FILE).of(EVENT)).not.toHaveProperty('quoted')
  })
})

test('whom it mentions is told by number and name; the account is, too', async () => {
  const said = { ...STORED, to: '@mg1:s', mentions: ['@ada:s', '@mg1:s'] }
  const of = payloads(
    async () => FILE,
    async () => '237611111',
  )
  expect(await of.of({ ...EVENT, payload: JSON.stringify(said) })).toMatchObject({
    mentions: [
      { id: '@ada:s', phone: '237611111' },
      { id: '@mg1:s', phone: '237', name: 'Me' },
    ],
  })
  expect(await of.of(EVENT)).not.toHaveProperty('mentions')
})

test('nobody is looked up for what nobody in particular said, such as a channel', async () => {
  const { of } = payloads(
    async () => FILE,
    async () => '237611111',
  )
  const [poll, vote, call] = [{ question: 'x' }, { options: [] }, { type: null }]
  const sender = { id: '@bot:s', phone: null, name: 'News' }
  const payload = JSON.stringify({ ...STORED, event: 'channel.posted', sender, poll, vote, call })
  expect(await of({ ...EVENT, senderUserId: '', payload })).toMatchObject({
    is_contact: false,
    sender,
    poll,
    vote,
    call,
  })
})

test('payloads made together look each sender up once', async () => {
  const lookedUp: string[] = []
  const phones = async (userId: string) => {
    lookedUp.push(userId)
    return '237611111'
  }
  const { of } = payloads(async () => FILE, phones)
  const senders: Senders = new Map()
  const second = { ...EVENT, senderUserId: '@b:s' }
  for (const event of [EVENT, second, EVENT, second])
    expect(await of(event, undefined, senders)).toMatchObject({ sender: { phone: '237611111' } })
  expect(lookedUp).toEqual(['@a:s', '@b:s'])
  await of(EVENT)
  expect(lookedUp).toEqual(['@a:s', '@b:s', '@a:s'])
})

test('that a reaction was taken back stands in it, and of nothing else', async () => {
  const of = payloads(async () => FILE)
  const payload = JSON.stringify({ ...STORED, event: 'message.reaction', removed: true })
  expect(await of.of({ ...EVENT, payload })).toMatchObject({ removed: true })
  expect(await of.of(EVENT)).not.toHaveProperty('removed')
})

test('how much of a file will stand in it is told before it is read, and of one that is told by its address nothing', async () => {
  const told: number[] = []
  const tell = async (bytes: number) => {
    told.push(bytes)
    await Bun.write(folder.file('file_1'), 'abc')
    return true
  }
  expect(await payloads(async () => FILE).of(EVENT, tell)).toMatchObject({ media: { content: 'YWJj' } })
  const large = async () => ({ ...FILE, sizeBytes: 11 })
  expect(await payloads(large).of(EVENT, tell)).toMatchObject({ media: { content: null } })
  expect(await payloads(async () => FILE).of(EVENT, async () => false)).toMatchObject({
    media: { content: null, info: { size: 3 }, url: 'http://here/file_1' },
  })
  expect(told).toEqual([3])
})

test('a file that nobody wants is neither fetched nor told of by its address', async () => {
  const fetched: string[] = []
  const fetch = async () => {
    fetched.push('it')
    return FILE
  }
  expect(await payloads(fetch).of(EVENT, null)).toMatchObject({
    media: { content: null, info: { name: 'a.png' }, url: null },
  })
  expect(fetched).toEqual([])
})

test('a file that somebody removed from the disk leaves the rest of the message', async () => {
  const payload = await payloads(async () => FILE).of(EVENT)
  expect(payload).toMatchObject({
    message: 'look',
    media: { content: null, info: { name: 'a.png' }, url: null },
  })
})

test.each(['not_found', 'forbidden', 'payload_too_large', 'quota_exceeded'] as const)(
  'so does one that is %s, without a link that would fail',
  async code => {
    const gone = async () => Promise.reject(new GatewayError(code, 'gone'))
    expect(await payloads(gone).of(EVENT)).toMatchObject({
      message: 'look',
      media: { content: null, url: null },
    })
  },
)

test('one that cannot be fetched for now is waited for', async () => {
  const later = async () => Promise.reject(new GatewayError('homeserver_unavailable', 'not now'))
  await expect(payloads(later).of(EVENT)).rejects.toMatchObject({ code: 'homeserver_unavailable' })
})
