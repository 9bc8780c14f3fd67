/** Files that are fetched by a URL, and several of one send, until they are on phones. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { type Account, formWith, GatewayClient, type Phone } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(120_000)

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

let gateway: TestGateway
let client: GatewayClient
let account: Account
let device: string
let friend: Phone

beforeAll(async () => {
  gateway = await testGateway()
  client = gateway.client
  ;({ account, device } = await client.linkedAccount())
  friend = await client.newPhone()
})
afterAll(() => gateway[Symbol.asyncDispose]())

/** A web server with files; `/held` answers once it is let go. */
function fileServer() {
  const requests: string[] = []
  let letGo = Promise.withResolvers<void>()
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url)
      requests.push(pathname)
      if (pathname === '/none') return new Response('nothing here', { status: 404 })
      if (pathname.startsWith('/held')) await letGo.promise
      return new Response(PNG, { headers: { 'content-disposition': 'inline; filename="sea view.png"' } })
    },
  })
  return {
    url: server.url.origin,
    requests,
    asked: (path: string) => waitFor(() => requests.includes(path), { what: `a request for ${path}` }),
    letGo: () => letGo.resolve(),
    hold: () => {
      letGo = Promise.withResolvers()
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

describe('by URL', () => {
  test('a file is fetched once for all recipients, and has the name that its server says', async () => {
    await using server = fileServer()
    const other = await client.newPhone()
    const contact = [friend.number, other.number]
    const sent = await account.send(device, { contact, file_url: `${server.url}/1`, text: 'look' })
    expect(sent.map(({ file_name }) => file_name)).toEqual([undefined, undefined])
    for (const phone of [friend, other])
      expect((await phone.waitForText('look')).file).toMatchObject({
        name: 'sea view.png',
        mime_type: 'image/png',
      })
    for (const { id } of sent) await account.waitForStatus(id, ['delivered'])
    expect(server.requests).toEqual(['/1'])
  })

  test('what is sent behind it waits for it, other chats do not', async () => {
    await using server = fileServer()
    const [first, other] = [await client.newPhone(), await client.newPhone()]
    await account.send(device, { contact: first.number, text: 'before' })
    await account.send(device, { contact: first.number, file_url: `${server.url}/held`, text: 'file' })
    const [behind] = await account.send(device, { contact: first.number, text: 'behind' })
    await server.asked('/held')
    await account.send(device, { contact: other.number, text: 'elsewhere' })
    await other.waitForText('elsewhere')
    expect(await account.message(behind?.id ?? '')).toMatchObject({ status: 'queued' })
    server.letGo()
    await first.waitForText('behind')
    const texts = (await first.messages()).map(({ text }) => text)
    expect(texts).toEqual(['before', 'file', 'behind'])
  })

  test('it can be cancelled while it is fetched, and nothing waits for it then', async () => {
    await using server = fileServer()
    const phone = await client.newPhone()
    const [held] = await account.send(device, { contact: phone.number, file_url: `${server.url}/held` })
    await server.asked('/held')
    await account.send(device, { contact: phone.number, text: 'behind' })
    const answer = await account.api.delete<{ status: string }>(`/api/v1/messages/${held?.id}`)
    expect(answer).toMatchObject({ status: 200, body: { status: 'cancelled' } })
    await phone.waitForText('behind')
    server.letGo()
    expect(await phone.messages()).toHaveLength(1)
  })

  test('one that can’t be had fails with the reason, and what is behind it goes', async () => {
    await using server = fileServer()
    const phone = await client.newPhone()
    const contact = [phone.number]
    const urls = [`${server.url}/none`, 'http://127.0.0.1:1/a.png']
    const sent = []
    for (const file_url of urls) sent.push(...(await account.send(device, { contact, file_url })))
    await account.send(device, { contact, text: 'behind' })
    const failed = await Promise.all(sent.map(({ id }) => account.waitForStatus(id, ['failed'])))
    expect(failed.map(({ reason }) => reason)).toEqual([
      'file_url_http_404',
      'file_url_refused: connection refused',
    ])
    await phone.waitForText('behind')
  })

  test.each(['file:///etc/passwd', 'https://me:secret@files.example/', 'a.pdf'])(
    '%s: 400',
    async file_url => {
      const answer = await account.trySend(device, { contact: friend.number, file_url })
      expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } })
      expect(answer.body.error).toStartWith('file_url: expected ')
    },
  )

  test('killed while it is fetched, the gateway fetches it again and sends it once', async () => {
    using folder = tempDir()
    await using server = fileServer()
    const first = await spawnGateway({ directory: folder.path })
    const own = new GatewayClient(first)
    const { account: sender, device: from } = await own.linkedAccount()
    const phone = await own.newPhone()
    await sender.send(from, { contact: phone.number, file_url: `${server.url}/held`, text: 'file' })
    await sender.send(from, { contact: phone.number, text: 'behind' })
    await server.asked('/held')
    await first.kill()
    server.letGo()
    await using second = await spawnGateway({ directory: folder.path })
    const again = new GatewayClient(second).phone(phone.number)
    await again.waitForText('behind')
    expect((await again.messages()).map(({ text }) => text)).toEqual(['file', 'behind'])
    expect(server.requests).toEqual(['/held', '/held'])
  })
})

test('a file in JSON arrives as it is, however long it is', async () => {
  const bytes = crypto.getRandomValues(Buffer.alloc(65_536))
  const content = Buffer.concat(Array.from({ length: 100 }, () => bytes))
  await account.send(device, {
    contact: friend.number,
    file_base64: content.toString('base64'),
    file_name: 'noise.bin',
    text: 'noise',
  })
  const { file } = await friend.waitForText('noise')
  expect(file?.name).toBe('noise.bin')
  const arrived = await (await fetch(`${gateway.url}${file?.url}`)).bytes()
  expect(Buffer.compare(arrived, content)).toBe(0)
})

test('several files are a message each, in their order, for each recipient; the text is of the first', async () => {
  const phones = [await client.newPhone(), await client.newPhone()]
  const contact = phones.map(({ number }) => number).join(',')
  const form = formWith({ platform: 'wa', contact, text: 'both' })
  for (const name of ['b.txt', 'a.txt']) form.append('file', new File([name], name))
  const sent = await account.send(device, form)
  expect(sent.map(({ to, file_name }) => [to, file_name])).toEqual(
    phones.flatMap(({ number }) => ['b.txt', 'a.txt'].map(name => [number, name])),
  )
  for (const phone of phones) {
    await waitFor(async () => (await phone.messages()).length === 2, { what: 'both files' })
    const shown = (await phone.messages()).map(({ text, file }) => [text, file?.name])
    expect(shown).toEqual([
      ['both', 'b.txt'],
      ['', 'a.txt'],
    ])
  }
})
