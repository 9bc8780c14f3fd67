/** A chat that is erased: nothing of it is left on the disk, and nothing else is missing. */
import { Database } from 'bun:sqlite'
import { expect, setDefaultTimeout, test } from 'bun:test'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { ActionView } from '../../src/domain/views/action.ts'
import type { ChatView } from '../../src/domain/views/chat.ts'
import type { ChatMessageView } from '../../src/domain/views/chat-message.ts'
import { formWith } from '../support/gateway-client.ts'
import { testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'
import { webhookReceiver } from '../support/webhook-receiver.ts'

setDefaultTimeout(60_000)

/** All words that are said in the chat; each begins so. */
const MARK = 'quokka'
const KEPT = 'wombatkept'

type Page = { data: ChatMessageView[] }

async function scene() {
  const gateway = await testGateway()
  const { client } = gateway
  const [ann, ben] = [await client.newPhone(), await client.newPhone()]
  const { account, device } = await client.linkedAccount()
  return { gateway, client, account, device, ann, ben, api: account.api }
}

/** The sandbox's phones are the network, which keeps what it has. */
async function forgetAtNetwork(folder: string): Promise<void> {
  rmSync(join(folder, 'sandbox-media'), { recursive: true, force: true })
  using database = new Database(join(folder, 'meshgate.db'))
  for (const pragma of ['busy_timeout = 5000', 'secure_delete = ON']) database.run(`PRAGMA ${pragma}`)
  for (const table of ['sandbox_message', 'sandbox_media']) database.run(`DELETE FROM ${table}`)
  await waitFor(() => {
    using checkpoint = database.prepare<{ busy: number }, []>('PRAGMA wal_checkpoint(TRUNCATE)')
    return checkpoint.get()?.busy === 0
  })
}

/** @returns files below a folder with the text in them or in their names */
function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .filter(path => path.includes(text) || readFileSync(path).includes(text))
}

test('nothing that was said in it is left in any file, and all else is', async () => {
  const { gateway, account, device, ann, ben, api } = await scene()
  await using _gateway = gateway
  await using echo = webhookReceiver(request => new Response(request.text))
  await account.addWebhook(echo.url, ['*'])
  await api.get('/api/v1/events?limit=1')
  const done = ({ body }: { body: ActionView }) =>
    waitFor(async () =>
      ['sent', 'failed'].includes((await api.get<ActionView>(`/api/v1/actions/${body.id}`)).body.status),
    )

  const [sent] = await account.send(device, {
    contact: ann.number,
    text: `${MARK}sent`,
    metadata: { order: `${MARK}metadata` },
  })
  const first = await ann.waitForText(`${MARK}sent`)
  await account.waitForStatus(sent?.id ?? '', ['delivered'])
  await done(await api.patch(`/api/v1/messages/${sent?.id}`, { text: `${MARK}edited` }))
  await done(await api.put(`/api/v1/messages/${sent?.id}/reaction`, { emoji: '🦘' }))
  await ann.send({ to: device, text: `${MARK}received`, reply_to: first.id })
  await ann.send(
    formWith({ to: device, text: `${MARK}caption` }, { name: `${MARK}in.txt`, content: `${MARK}incoming` }),
  )
  const own = { name: `${MARK}file.txt`, content: `${MARK}content` }
  await account.send(device, formWith({ platform: 'wa', contact: ann.number }, own))
  const both = {
    contact: [ann.number, ben.number],
    file_base64: btoa(`${KEPT} file`),
    file_name: `${KEPT}.txt`,
  }
  const shared = await account.send(device, both)
  const location = { latitude: 1, longitude: 2, name: `${MARK}place` }
  const poll = { question: `${MARK}poll`, options: [`${MARK}a`, `${MARK}b`], max_selections: 1 }
  const more = [
    ...(await account.send(device, { contact: ann.number, location })),
    ...(await account.send(device, { contact: ann.number, poll })),
  ]
  const [later] = await account.send(device, {
    contact: ann.number,
    text: `${MARK}cancelled`,
    send_at: inAnHour(),
  } as never)
  await api.delete(`/api/v1/messages/${later?.id}`)
  const [keptText] = await account.send(device, { contact: ben.number, text: `${KEPT} text` })
  for (const message of [...shared, ...more, keptText])
    await account.waitForStatus(message?.id ?? '', ['delivered'])

  const chats = (await api.get<{ data: ChatView[] }>('/api/v1/chats')).body.data
  const chat = chats.find(({ person }) => person?.phone === ann.number)
  const path = `/api/v1/chats/${chat?.id}`
  await waitFor(async () => (await api.get<Page>(`${path}/messages`)).body.data.length >= 7)
  await waitFor(() => echo.received.some(({ text }) => text.includes(`${MARK}caption`)))
  const folder = join(gateway.directory, 'data')
  expect(filesWith(folder, MARK)).not.toEqual([])

  const erased = await api.delete<{ message: string; kept: string }>(path)
  expect(erased).toMatchObject({ status: 200, body: { kept: expect.stringContaining('phones') } })
  expect(filesWith(folder, MARK).filter(name => name.endsWith('-wal'))).toEqual([])
  for (const gone of [path, `${path}/messages`]) expect((await api.get(gone)).status).toBe(404)
  expect((await api.get<Page>(`/api/v1/messages/search?query=${MARK}`)).body.data).toEqual([])
  expect(JSON.stringify((await api.get('/api/v1/events')).body)).not.toContain(MARK)
  expect((await api.get(`/api/v1/messages/${sent?.id}`)).body).toMatchObject({
    status: 'delivered',
    metadata: null,
  })
  expect((await api.delete(path)).status).toBe(200)

  await forgetAtNetwork(folder)
  expect(filesWith(folder, MARK)).toEqual([])
  expect((await api.get<Page>(`/api/v1/messages/search?query=${KEPT}`)).body.data).toHaveLength(1)
  expect(filesWith(join(folder, 'media'), KEPT)).toHaveLength(1)

  await ann.send({ to: device, text: 'once more' })
  await waitFor(async () => (await api.get(path)).status === 200)
  expect((await api.get<Page>(`${path}/messages`)).body.data.map(({ text }) => text)).toEqual(['once more'])
  expect((await api.get<ChatView>(path)).body).toMatchObject({ id: chat?.id, unread_count: 1 })
})

function inAnHour(): string {
  return new Date(Date.now() + 3_600_000).toISOString()
}

test('while something of it isn’t on the network yet, it stays, and the answer says how many', async () => {
  const { gateway, account, device, ann, api } = await scene()
  await using _gateway = gateway
  const [sent] = await account.send(device, { contact: ann.number, text: 'hello' })
  await account.waitForStatus(sent?.id ?? '', ['delivered'])
  const later = { contact: `+${ann.number}`, text: 'later', send_at: inAnHour() } as never
  const [scheduled] = await account.send(device, later)
  const [chat] = (await api.get<{ data: ChatView[] }>('/api/v1/chats')).body.data
  const path = `/api/v1/chats/${chat?.room_id}`
  const refused = await api.delete<{ error: string; code: string }>(path)
  expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } })
  expect(refused.body.error).toContain(`1 message or action of the chat (${scheduled?.id}) waits`)
  expect((await api.get<Page>(`${path}/messages`)).body.data.map(({ text }) => text)).toEqual(['hello'])
  await api.delete(`/api/v1/messages/${scheduled?.id}`)
  expect((await api.delete(path)).status).toBe(200)
  expect((await api.get<{ data: ChatView[] }>('/api/v1/chats')).body.data).toEqual([])
})
