/** Messages from before a link: kept on the embedded homeserver, and news nowhere. */
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { createProvisioningClient } from '../../../../src/bridges/provisioning.ts'
import type { ChatBackfilledEvent } from '../../../../src/domain/views/event.ts'
import type { HomeserverKind } from '../../../support/attached-gateway.ts'
import type { Account } from '../../../support/gateway-client.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import type { TestnetPhone } from '../../../support/testnet-phone.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { link, linkedUser, PLATFORM, type Setting, type SettingOf } from './setting.ts'

/** As `bridge add` asks for them. */
const AT_THE_LINK = 50

interface Row {
  room: string
  event: string
  direction: string
  kind: string
  text: string
}

export function historyCases(setting: SettingOf, kind: HomeserverKind): void {
  if (kind !== 'embedded') {
    test('begins at the link', async () => {
      const { phone, friend } = await pair(setting())
      await said(phone, friend, 3)
      await using inbox = await linked(setting(), phone)
      await friend.send({ to: phone.id, text: 'new' })
      expect((await inbox.next()).message).toBe('new')
      expect(rowsOf(setting(), phone).map(({ text }) => text)).toEqual(['new'])
    })

    test('is not asked for older messages, as they would be lost', async () => {
      await using user = await linkedUser(setting())
      const friend = await setting().testnet.newPhone()
      await friend.send({ to: user.phone.id, text: 'hello' })
      const { chat_id: chat } = await user.inbox.next()
      expect(await backfill(user.account, chat ?? '')).toMatchObject({
        status: 501,
        body: { code: 'not_supported' },
      })
    })
    return
  }

  test('the last messages of each chat are there after the link, in order, and news to nobody', async () => {
    const { phone, friend } = await pair(setting())
    const other = await setting().testnet.newPhone()
    const group = await setting().testnet.newGroup('Family', other, [phone])
    const texts = await said(phone, friend, AT_THE_LINK + 10)
    const { id } = await other.send({ group: group.id, text: 'to all', timestamp: minutesAgo(90) })
    await phone.react(id, '🎉')
    await using inbox = await linked(setting(), phone)
    const rows = () => rowsOf(setting(), phone)
    await waitFor(() => rows().length === AT_THE_LINK + 2, { what: 'the history' })
    const chats = Map.groupBy(rows(), row => row.room)
    const [direct = [], inGroup = []] = [...chats.values()].sort((a, b) => b.length - a.length)
    expect(direct.map(({ text }) => text)).toEqual(texts.slice(-AT_THE_LINK))
    expect(direct.map(({ direction }) => direction)).toEqual(directions(texts.length).slice(-AT_THE_LINK))
    expect(inGroup.map(row => [row.kind, row.text, row.direction])).toEqual([
      ['text', 'to all', 'in'],
      ['reaction', '🎉', 'out'],
    ])
    await friend.send({ to: phone.id, text: 'new' })
    expect((await inbox.next()).message).toBe('new')
    expect(inbox.unread).toBe(0)

    // Older ones come when they are asked for, and are no news either.
    const [{ room } = { room: '' }] = direct
    const { user, client } = await bridgeOf(setting(), phone)
    expect(await client.fetchOlder(user, phone.id, room)).toBe('fetched')
    const ofRoom = () => rows().filter(row => row.room === room)
    await waitFor(() => ofRoom().length === texts.length + 1, { what: 'what is older' })
    expect(ofRoom().map(({ text }) => text)).toEqual([...texts, 'new'])
    expect(await client.fetchOlder(user, phone.id, room)).toBe('complete')
    expect(inbox.unread).toBe(0)
  })

  test('older messages come when the API asks for them, and an event says how many', async () => {
    const { phone, friend } = await pair(setting())
    const texts = await said(phone, friend, AT_THE_LINK + 10)
    const account = await setting().deployment.client.account()
    await using told = await InboxReader.of<ChatBackfilledEvent>(account, ['chat.backfilled'])
    await link(account, phone, PLATFORM)
    const rows = () => rowsOf(setting(), phone)
    await waitFor(() => rows().length === AT_THE_LINK, { what: 'the history' })
    const { body } = await account.api.get<{ data: { id: string }[] }>('/api/v1/chats')
    const chat = body.data[0]?.id ?? ''
    expect((await backfill(account, chat)).status).toBe(202)
    expect(await told.next()).toMatchObject({ chat_id: chat, count: 10, more: false })
    expect(rows().map(({ text }) => text)).toEqual(texts)
    expect((await backfill(account, chat)).status).toBe(202)
    expect(await told.next()).toMatchObject({ chat_id: chat, count: 0, more: false })
  })

  test('a batch of what came between a logout and the next link is received, once', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    await friend.send({ to: user.phone.id, text: 'before' })
    expect((await user.inbox.next()).message).toBe('before')
    await user.phone.setConnection({ state: 'logged_out' })
    await waitFor(async () => (await user.account.devices())[0]?.state === 'logged_out')
    await friend.send({ to: user.phone.id, text: 'missed' })
    await link(user.account, user.phone, PLATFORM)
    expect((await user.inbox.next()).message).toBe('missed')
    await friend.send({ to: user.phone.id, text: 'after' })
    expect((await user.inbox.next()).message).toBe('after')
    expect(rowsOf(setting(), user.phone).map(({ text }) => text)).toEqual(['before', 'missed', 'after'])
  })

  test('a kill in its midst loses and doubles nothing, and what is said meanwhile is received once', async () => {
    const { deployment } = setting()
    const { phone, friend } = await pair(setting())
    const others = await Promise.all(Array.from({ length: 5 }, () => setting().testnet.newPhone()))
    const texts = await said(phone, friend, 40)
    for (const other of others) await said(phone, other, 40)
    await using inbox = await linked(setting(), phone)
    await waitFor(() => rowsOf(setting(), phone).length > 0)
    await friend.send({ to: phone.id, text: 'meanwhile' })
    await deployment.gateway.kill()
    await deployment.gateway.start()
    const rows = await waitFor(
      () => {
        const found = rowsOf(setting(), phone)
        return found.length === 241 ? found : null
      },
      { what: 'all of the history', deadlineMs: 60_000 },
    )
    expect(new Set(rows.map(({ event }) => event)).size).toBe(241)
    expect(rows.filter(({ text }) => text === 'meanwhile')).toHaveLength(1)
    const past = rows.filter(({ text }) => text !== 'meanwhile')
    for (const chat of Map.groupBy(past, ({ room }) => room).values())
      expect(chat.map(({ text }) => text)).toEqual(texts)
    expect((await inbox.next()).message).toBe('meanwhile')
    await friend.send({ to: phone.id, text: 'after it' })
    expect((await inbox.next()).message).toBe('after it')
    expect(inbox.unread).toBe(0)
  })
}

const backfill = ({ api }: Account, chat: string) =>
  api.post<{ code?: string }>(`/api/v1/chats/${chat}/backfill`, {})

async function pair({ testnet }: Setting) {
  const [phone, friend] = [await testnet.newPhone({ receipts: 'read' }), await testnet.newPhone()]
  return { phone, friend }
}

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString()

/** Every third message is the phone's own. */
const directions = (count: number) =>
  Array.from({ length: count }, (_, index) => (index % 3 === 0 ? 'out' : 'in'))

/** A conversation of yesterday. @returns its texts, oldest first */
async function said(phone: TestnetPhone, friend: TestnetPhone, count: number): Promise<string[]> {
  const texts = Array.from({ length: count }, (_, index) => `number ${index}`)
  for (const [index, direction] of directions(count).entries()) {
    const [from, to] = direction === 'out' ? [phone, friend] : [friend, phone]
    await from.send({ to: to.id, text: texts[index] ?? '', timestamp: minutesAgo(1_440 - index) })
  }
  return texts
}

/** Links the phone. @returns a webhook that was there before */
async function linked({ deployment }: Setting, phone: TestnetPhone): Promise<InboxReader> {
  const account = await deployment.client.account()
  const reader = await InboxReader.open(account)
  await link(account, phone, PLATFORM)
  return reader
}

function databaseOf({ deployment }: Setting): Database {
  return new Database(join(deployment.directory, 'data', 'meshgate.db'), { readonly: true })
}

/** The device's history, in the order of each chat. */
function rowsOf(setting: Setting, phone: TestnetPhone): Row[] {
  using database = databaseOf(setting)
  return database
    .query<Row, [string]>(
      `SELECT m.room_id AS room, m.event_id AS event, m.direction, m.kind, m.text FROM chat_messages m
       JOIN devices d ON d.id = m.device_row_id WHERE d.login_id = ? ORDER BY m.room_id, m.sent_at, m.seq`,
    )
    .all(phone.id)
}

/** The bridge as the gateway asks it. */
async function bridgeOf(setting: Setting, phone: TestnetPhone) {
  const { url, configFile } = setting.deployment.bridge(PLATFORM)
  const secret: string = parse(readFileSync(configFile, 'utf8')).provisioning.shared_secret
  using database = databaseOf(setting)
  const identity = database
    .query<{ user: string }, [string]>(
      'SELECT i.matrix_user_id AS user FROM identities i JOIN devices d ON d.identity_id = i.id WHERE d.login_id = ?',
    )
    .get(phone.id)
  const client = createProvisioningClient(PLATFORM, { baseUrl: url }, secret)
  return { user: identity?.user ?? '', client }
}
