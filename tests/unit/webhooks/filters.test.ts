/** Filters of webhooks: which are taken, and which events they leave out, new and replayed. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { resolvedRecipients } from '../../../src/db/schema/index.ts'
import type { WebhookFilters } from '../../../src/domain/views/webhook.ts'
import { insertChat, insertDevice, insertMessage } from '../../support/rows.ts'
import { WebhookScene } from '../../support/webhook-scene.ts'

let scene: WebhookScene
beforeEach(() => {
  scene = new WebhookScene()
})
afterEach(() => scene.destroy())

const triesAt = (id: number) => scene.side.tries.filter(({ url }) => url.endsWith(`/${id}`))
const textsAt = (id: number) => triesAt(id).map(({ payload }) => payload.message)

/** Delivers what has happened. @returns texts that the webhook with the filters got, by name */
async function delivered(): Promise<unknown[]> {
  scene.start()
  await scene.idle()
  await scene.stop()
  return textsAt(2).sort()
}

async function allReplayed(): Promise<unknown[]> {
  scene.side.tries.length = 0
  scene.start()
  await scene.side.replays.start('id_1', 2, { since: '2020-01-01T00:00:00Z' })
  await scene.pass(1_000)
  await scene.stop()
  return textsAt(2).sort()
}

const DM = { chat: { kind: 'dm' }, kind: 'text', platform: 'wa', device_id: '237' }

async function everything(): Promise<void> {
  await scene.happens('text', DM)
  await scene.happens('image', { ...DM, kind: 'image' })
  await scene.happens('signal', { ...DM, platform: 'sg' })
  await scene.happens('other device', { ...DM, device_id: '49' })
  await scene.happens('group', { ...DM, chat: { kind: 'group' }, roomId: '!g:s' })
  const ofDevice = { name: 'device.connected', roomId: '', platform: 'wa' } as const
  await scene.happens('connected', { ...ofDevice, device_id: '237' })
  await scene.happens('other connected', { ...ofDevice, device_id: '49' })
  await scene.happens('webhook', { name: 'webhook.disabled', roomId: '' })
}
const ALL = ['connected', 'group', 'image', 'other connected', 'other device', 'signal', 'text', 'webhook']
const without = (...names: string[]) => ALL.filter(name => !names.includes(name))

test.each<[WebhookFilters, string[]]>([
  [{ devices: ['237'] }, without('other device', 'other connected')],
  [{ platforms: ['wa'] }, without('signal')],
  [{ chat_kinds: ['group'] }, without('text', 'image', 'signal', 'other device')],
  [{ message_kinds: ['image', 'voice'] }, without('text', 'signal', 'other device', 'group')],
  [{ chats: ['!g:s'] }, without('text', 'image', 'signal', 'other device')],
  [{ devices: ['237'], platforms: ['sg'] }, ['signal', 'webhook']],
  [{ devices: ['237', '49'], platforms: ['wa', 'sg'] }, ALL],
])('%j leaves out what is not in its lists; what has no such field passes', async (filters, expected) => {
  scene.hook(2, { events: ['*'], filters })
  await everything()
  expect(scene.rows().filter(({ webhookId }) => webhookId === 2)).toHaveLength(expected.length)
  expect(await delivered()).toEqual(expected)
  expect(await allReplayed()).toEqual(expected)
})

test('a replay counts what the filters leave in, beside the names of events', async () => {
  scene.hook(2, { filters: { message_kinds: ['image'] } })
  await everything()
  const since = '2020-01-01T00:00:00Z'
  expect(await scene.side.replays.start('id_1', 2, { since })).toEqual({ events: 1 })
})

describe('chats', () => {
  const chat = (roomId: string, movedTo: string | null = null) =>
    insertChat(scene.db, { id: `chat_${roomId.slice(1, 2)}`, roomId, channelId: roomId, movedTo })

  test.each(['!a:s', '!b:s', '!c:s', 'chat_a', 'chat_b', 'chat_c'])(
    'one that has moved twice is meant by %s, in all of its rooms',
    async reference => {
      chat('!a:s', '!b:s')
      chat('!b:s', '!c:s')
      chat('!c:s')
      chat('!d:s')
      scene.hook(2, { filters: { chats: [reference] } })
      for (const roomId of ['!a:s', '!b:s', '!c:s', '!d:s']) await scene.happens(roomId, { ...DM, roomId })
      expect(await delivered()).toEqual(['!a:s', '!b:s', '!c:s'])
    },
  )

  test('rooms that name each other end the search', async () => {
    chat('!a:s', '!b:s')
    chat('!b:s', '!a:s')
    scene.hook(2, { filters: { chats: ['!x:s', 'chat_b'] } })
    await scene.happens('in it', { ...DM, roomId: '!a:s' })
    expect(await delivered()).toEqual(['in it'])
  })
})

describe('a status is of the chat and the kind of its recipient', () => {
  const status = (id: string, roomId = '') => scene.happens(id, { name: 'message.status', roomId, id })
  beforeEach(() => {
    insertDevice(scene.db)
    insertChat(scene.db, { id: 'chat_1' })
    insertMessage(scene.db, { id: 'msg_1', lane: 'dev_1/1', recipientKind: 'contact', roomId: null })
    insertMessage(scene.db, { id: 'msg_2', lane: 'dev_1/2', recipientKind: 'group', roomId: null })
    const found = { deviceRowId: 'dev_1', roomId: '!r:s', matrixUserId: null, resolvedAt: 0 }
    scene.db.orm
      .insert(resolvedRecipients)
      .values({ ...found, recipientKey: '1' })
      .run()
  })

  test('by its room, or what is known of its recipient', async () => {
    scene.hook(2, { events: ['message.status'], filters: { chats: ['chat_1'] } })
    await status('msg_1')
    await status('msg_2')
    await status('msg_3', '!r:s')
    expect(await delivered()).toEqual(['msg_1', 'msg_3'])
  })

  test('by the kind of its chat, where that is known, whoever was written to', async () => {
    insertChat(scene.db, { id: 'chat_2', roomId: '!g:s', kind: 'channel', channelId: '2' })
    insertChat(scene.db, { id: 'chat_3', roomId: '!new:s', kind: 'other', channelId: '3' })
    scene.hook(2, { events: ['message.status'], filters: { chat_kinds: ['channel', 'group'] } })
    await status('msg_1', '!g:s')
    await status('msg_2', '!r:s')
    expect(await delivered()).toEqual(['msg_1'])
    await status('msg_2', '!new:s')
    expect(await delivered()).toEqual(['msg_1', 'msg_2'])
  })

  test('by how it was written to', async () => {
    scene.hook(2, { events: ['message.status'], filters: { chat_kinds: ['dm'], message_kinds: ['image'] } })
    await status('msg_1')
    await status('msg_2')
    expect(await delivered()).toEqual(['msg_1'])
  })
})

describe('given by its owner', () => {
  const create = (filters: WebhookFilters | null) =>
    scene.side.webhooks.create('id_1', { url: 'https://filtered.example', filters })

  test('each value is kept once, and a device as its number', async () => {
    insertChat(scene.db, { id: 'chat_1' })
    const { id, filters } = await create({ devices: ['+237 612', '237612'], chats: ['chat_1', 'chat_1'] })
    expect(filters).toEqual({ devices: ['237612'], chats: ['chat_1'] })
    expect((await scene.side.webhooks.update('id_1', id, { active: true })).filters).toEqual(filters)
    const changed = await scene.side.webhooks.update('id_1', id, { filters: { platforms: ['wa'] } })
    expect(changed.filters).toEqual({ platforms: ['wa'] })
    expect((await scene.side.webhooks.update('id_1', id, { filters: null })).filters).toEqual({})
  })

  test.each<[WebhookFilters, string]>([
    [{ devices: [] }, 'filters.devices: expected at least one value; leave the list out for all'],
    [{ platforms: ['wa', 'whatsapp'] }, 'filters.platforms: expected some of sg, wa, not "whatsapp"'],
    [
      { chats: ['chat_x'] },
      'filters.chats: expected ids of chats (chat_…) or their rooms; there is no "chat_x"',
    ],
  ])('%j is refused', async (filters, message) => {
    await expect(create(filters)).rejects.toMatchObject({ code: 'bad_request', message })
  })

  test('a chat of another identity is none of theirs', async () => {
    await expect(
      scene.side.webhooks.create('id_2', { url: 'https://x.example', filters: { chats: ['!r:s'] } }),
    ).rejects.toMatchObject({ code: 'bad_request' })
  })
})
