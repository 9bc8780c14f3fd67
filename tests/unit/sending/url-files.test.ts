/** Files by URL: what becomes of their messages, whatever happens while they are fetched. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { media as files, messages as rows } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { StagedFile } from '../../../src/modules/media/media.ts'
import type { SendRequest } from '../../../src/modules/sending/content/request.ts'
import type { Messages } from '../../../src/modules/sending/sending.ts'
import { createStatusWriter } from '../../../src/modules/sending/statuses/status-repository.ts'
import { createUrlFileRepository } from '../../../src/modules/sending/url-files/url-file-repository.ts'
import { createUrlFiles } from '../../../src/modules/sending/url-files/url-files.ts'
import { createSchedule } from '../../../src/modules/upkeep/schedule.ts'
import { createScheduleRepository } from '../../../src/modules/upkeep/schedule-repository.ts'
import { type FileClient, FileNotFetched } from '../../../src/outbound/file-client.ts'
import { Supervisor } from '../../../src/runtime/supervisor.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import {
  type MessageStore,
  messageStore,
  messagesOn,
  SEND_REQUEST,
  stagedFile,
} from '../../support/messages.ts'
import { insertDevice, insertIdentity } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
let clock: ManualClock
let store: MessageStore
let messages: Messages
let supervisor: Supervisor
/** URLs whose fetch is under way. */
let asked: Map<string, PromiseWithResolvers<void>>
let described: (file: StagedFile) => StagedFile
let discarded: string[]

beforeEach(() => {
  db = tempDb()
  clock = new ManualClock()
  insertIdentity(db)
  insertIdentity(db, 'id_2', '@mg2:s')
  const device = insertDevice(db)
  const others = insertDevice(db, { id: 'dev_2', identityId: 'id_2' })
  store = messageStore(db)
  messages = messagesOn(store, {
    devices: { linked: async () => [], find: async id => (id === 'id_2' ? others : device) },
    clock,
  })
  supervisor = new Supervisor(clock, silentLogger)
  asked = new Map()
  described = file => file
  discarded = []
})
afterEach(async () => {
  await supervisor.stop(1_000)
  await db.destroy()
})

const client: FileClient = {
  async fetch(url, take, signal) {
    const answer = Promise.withResolvers<void>()
    asked.set(url, answer)
    signal.addEventListener('abort', () => answer.reject(signal.reason))
    try {
      await answer.promise
      return await take({ fileName: '', mimeType: 'image/png', stream: new Blob([]).stream() })
    } finally {
      asked.delete(url)
    }
  },
}

async function start() {
  supervisor.start(
    createUrlFiles({
      repository: createUrlFileRepository(db, createStatusWriter()),
      client,
      media: {
        receive: async ({ id = '', identityId }) => ({ id, identityId, sizeBytes: 0 }),
        describe: async ({ id, identityId }, { fileName }) =>
          described(stagedFile({ id, identityId, fileName, mimeType: 'image/png' })),
        discard: async ({ id }) => void discarded.push(id),
      },
      signals: db.signals,
      clock,
      logger: silentLogger,
    }),
  )
  await idle()
}
async function idle() {
  for (let turn = 0; turn < 50; turn++) await settled()
}
async function advance(ms: number) {
  await clock.advance(ms)
  await idle()
}
async function accept(change: Partial<SendRequest> = {}): Promise<string> {
  const [accepted] = await messages.accept({ ...SEND_REQUEST, ...change })
  await idle()
  return accepted?.id ?? ''
}
const withUrl = (name: string, change: Partial<SendRequest> = {}) =>
  accept({ fileUrl: `https://files.example/${name}`, text: name, ...change })
async function answer(name: string, error?: Error) {
  const answering = asked.get(`https://files.example/${name}`)
  if (error) answering?.reject(error)
  else answering?.resolve()
  await idle()
}
async function claimed() {
  const lanes = await store.queue.claim({
    leaseId: 'l',
    now: clock.now(),
    maxLanes: 100,
    maxMessagesPerLane: 10,
    paceOf: () => ({ intervalMs: 0, jitter: 0, burst: 1 }),
  })
  return lanes
}
const texts = async () => (await claimed()).map(lane => lane.messages.map(({ text }) => text))
const fileRows = () => db.orm.select().from(files).all()

test('a file without a name is called after its type, and its messages go as soon as it is there', async () => {
  await start()
  await withUrl('a')
  await accept({ text: 'behind' })
  expect(await texts()).toEqual([])
  await answer('a')
  expect(fileRows()).toMatchObject([{ fileName: 'file.png', stored: true, sourceUrl: null }])
  expect(await texts()).toEqual([['a', 'behind']])
})

test('a file is fetched though its message is sent later', async () => {
  await start()
  supervisor.start(createSchedule({ schedule: createScheduleRepository(db), signals: db.signals, clock }))
  await withUrl('a', { sendAt: new Date(clock.now() + 60_000).toISOString() })
  await answer('a')
  expect(fileRows()).toMatchObject([{ stored: true }])
  expect(await texts()).toEqual([])
  await advance(60_000)
  expect(await texts()).toEqual([['a']])
})

test('one that can’t be had fails all its messages, also those that are sent later', async () => {
  await start()
  const now = await messages.accept({ ...SEND_REQUEST, contact: '1,2', fileUrl: 'https://files.example/a' })
  await idle()
  await answer('a', new FileNotFetched('http_404'))
  const sendAt = new Date(clock.now() + 60_000).toISOString()
  const later = await withUrl('b', { sendAt })
  await answer('b', new FileNotFetched('timeout', 'expected within 30 seconds'))
  for (const { id } of now)
    expect(await messages.get('id_1', id)).toMatchObject({ status: 'failed', reason: 'file_url_http_404' })
  expect(await messages.get('id_1', later)).toMatchObject({
    status: 'failed',
    reason: 'file_url_timeout: expected within 30 seconds',
  })
  expect(fileRows()).toEqual([])
})

test('a message that is claimed just then fails once it was given back', async () => {
  await start()
  await accept({ text: 'before' })
  const id = await withUrl('a')
  const [lane] = await claimed()
  expect(lane?.messages.map(({ text }) => text)).toEqual(['before', 'a'])
  await answer('a', new FileNotFetched('http_500'))
  expect(await messages.get('id_1', id)).toMatchObject({ status: 'sending' })
  if (lane) await store.queue.release(lane, clock.now())
  await advance(200)
  expect(await messages.get('id_1', id)).toMatchObject({ status: 'failed', reason: 'file_url_http_500' })
})

test('a file that nobody needs any more is discarded', async () => {
  await start()
  const id = await withUrl('a')
  await messages.cancel('id_1', id)
  await answer('a')
  expect(discarded).toHaveLength(1)
  expect(fileRows()).toEqual([])
})

test('a quota that is used up fails it, a full disk does not', async () => {
  await start()
  described = () => {
    throw new GatewayError('storage_full', 'there is no space left')
  }
  const full = await withUrl('full')
  await answer('full')
  expect(await messages.get('id_1', full)).toMatchObject({ status: 'queued' })
  described = file => file
  await advance(5_000)
  await answer('full')
  expect(await texts()).toEqual([['full']])

  described = () => {
    throw new GatewayError('quota_exceeded', 'file: does not fit')
  }
  const much = await withUrl('much', { contact: '2' })
  await answer('much')
  expect(await messages.get('id_1', much)).toMatchObject({
    status: 'failed',
    reason: 'quota_exceeded: file: does not fit',
  })
})

test('one identity has four fetches at a time, others have theirs', async () => {
  await start()
  for (let count = 0; count < 6; count++) {
    await withUrl(`${count}`)
    await advance(1)
  }
  await withUrl('other', { identityId: 'id_2' })
  const paths = () => [...asked.keys()].map(url => url.split('/').at(-1))
  expect(paths()).toEqual(['0', '1', '2', '3', 'other'])
  await answer('1')
  expect(paths()).toEqual(['0', '2', '3', 'other', '4'])
})

test('a stop leaves what is under way to the next start', async () => {
  await start()
  await withUrl('a')
  await supervisor.stop(1_000)
  expect(db.orm.select().from(rows).all()).toMatchObject([{ status: 'queued' }])
  expect(fileRows()).toMatchObject([{ sourceUrl: 'https://files.example/a' }])
  supervisor = new Supervisor(clock, silentLogger)
  await start()
  await answer('a')
  expect(await texts()).toEqual([['a']])
})
