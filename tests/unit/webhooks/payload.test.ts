/** The body of a delivery when the file that came with the message can't be had. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { Device, InboxEvent, Media } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { Contact } from '../../../src/modules/chats/people-repository.ts'
import { createPayloads } from '../../../src/modules/webhooks/payload.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

const EVENT = {
  mediaId: 'file_1',
  deviceRowId: 'dev_1',
  payload: {
    event: 'message.received',
    kind: 'message',
    message: 'look',
    sender: { phone: null },
    media: { name: 'a.png' },
  },
} as unknown as InboxEvent
const FILE = { sizeBytes: 3, width: 1, height: 1, blurHash: '' } as Media

let folder: TempDir
beforeEach(() => {
  folder = tempDir()
})
afterEach(() => folder[Symbol.dispose]())

const payloads = (fetchIncoming: () => Promise<Media>, phone: string | null = null) =>
  createPayloads({
    devices: { get: async () => ({}) as Device },
    contacts: {
      lookUp: async (_device, _userId, known) => (known ? ({ phone: 'of the book' } as Contact) : null),
    },
    phones: { of: async () => phone },
    media: { fetchIncoming, signedPath: id => `/${id}`, pathOf: id => folder.file(id) },
    publicUrl: () => 'http://here',
    inlineMaxBytes: 10,
  })

test('the file stands in it', async () => {
  await Bun.write(folder.file('file_1'), 'abc')
  const payload = await payloads(async () => FILE).of(EVENT)
  expect(payload).toMatchObject({ media: { content: 'YWJj', info: { size: 3 } } })
})

test('a sender whose number became known since the event has it, and is a contact by it', async () => {
  const of = payloads(async () => FILE, '237611111')
  expect(await of.of(EVENT)).toMatchObject({ is_contact: true, sender: { phone: '237611111' } })
  expect(await payloads(async () => FILE).of(EVENT)).toMatchObject({
    is_contact: false,
    sender: { phone: null },
  })
})

test('that a reaction was taken back stands in it, and of nothing else', async () => {
  const of = payloads(async () => FILE)
  const reaction = { ...EVENT.payload, event: 'message.reaction', removed: true }
  expect(await of.of({ ...EVENT, payload: reaction } as InboxEvent)).toMatchObject({ removed: true })
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
