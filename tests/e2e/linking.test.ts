/** Linking a device: the WebSocket's codes in every format, every end, and the devices after it. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { type Account, type GatewayClient, scan } from '../support/gateway-client.ts'
import { InboxReader } from '../support/inbox-reader.ts'
import { bearer } from '../support/json-client.ts'
import { matrixOf, matrixOfPng, matrixOfSvg, matrixOfTerminal } from '../support/qr-matrix.ts'
import { watchSocket } from '../support/socket-watcher.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

/** The sandbox shows a code this long, and this many codes. */
const REFRESH_MS = 20_000
const CODES = 5
const DEADLINE_MS = 20_000

let gateway: TestGateway
let client: GatewayClient

beforeAll(async () => {
  gateway = await testGateway()
  client = gateway.client
})

afterAll(() => gateway[Symbol.asyncDispose]())

const qrUrl = (account: Account, query = '') =>
  `${gateway.url.replace('http', 'ws')}/api/v1/devices/qr-code?token=${account.token}${query}`

/** @returns the account's devices, once none is linked any more */
function loggedOut(account: Account) {
  return waitFor(
    async () => {
      const devices = await account.devices()
      return devices.every(({ state }) => state === 'logged_out') && devices
    },
    { what: 'a logout' },
  )
}

async function numbersOf(account: Account): Promise<string[]> {
  return (await account.devices()).map(({ device_id }) => device_id)
}

/** Accounts linked on a phone of the sandbox. */
async function linkedOn(phone: string): Promise<{ platform: string }[]> {
  return (await client.sandbox.get<{ linked: { platform: string }[] }>(`/phones/${phone}`)).body.linked
}

describe('the code', () => {
  test('is refreshed for all who watch, and is there at once for who comes later', async () => {
    const account = await client.account()
    const url = await account.addDevice('wa')
    expect(url).toBe(qrUrl(account))
    await using one = watchSocket(url)
    await using two = watchSocket(url)
    const first = await one.waitForText(0)
    expect(first).toMatch(new RegExp(`^${gateway.url}/sandbox/link/[0-9A-F]+$`))
    expect(await two.waitForText(0)).toBe(first)

    gateway.clock.skip(REFRESH_MS)
    const second = await one.waitForText(1)
    expect(second).not.toBe(first)
    expect(await two.waitForText(1)).toBe(second)
    await using late = watchSocket(url)
    expect(await late.waitForText(0)).toBe(second)

    const phone = await client.newPhone()
    expect(await scan(second, phone.number)).toMatchObject({ status: 200, body: { linked: true } })
    for (const socket of [one, two, late]) {
      expect(await socket.closed).toEqual({ code: 1000, reason: `connected: ${phone.number}` })
    }
    expect([one.frames.length, two.frames.length, late.frames.length]).toEqual([2, 2, 1])
    for (const code of [first, second]) expect((await scan(code)).status).toBe(410)

    await using afterwards = watchSocket(url)
    expect(await afterwards.closed).toEqual({ code: 1000, reason: `connected: ${phone.number}` })
    expect(afterwards.frames).toEqual([])
  })

  test('is the same in every form', async () => {
    const account = await client.account()
    const url = await account.addDevice('wa')
    await using raw = watchSocket(url)
    await using json = watchSocket(`${url}&format=json`)
    await using png = watchSocket(`${url}&format=png`)
    await using svg = watchSocket(`${url}&format=svg`)
    await using terminal = watchSocket(`${url}&format=terminal`)
    for (const round of [0, 1]) {
      const payload = await raw.waitForText(round)
      expect(JSON.parse(await json.waitForText(round))).toEqual({
        type: 'qr',
        payload,
        image_url: null,
        instructions: expect.stringContaining('WhatsApp'),
      })
      const expected = matrixOf(payload)
      const picture = await png.waitForFrame(round)
      expect(picture).toBeInstanceOf(Buffer)
      expect(matrixOfPng(Buffer.from(picture))).toEqual(expected)
      expect(matrixOfSvg(await svg.waitForText(round))).toEqual(expected)
      expect(matrixOfTerminal(await terminal.waitForText(round))).toEqual(expected)
      if (round === 0) gateway.clock.skip(REFRESH_MS)
    }
    const phone = await client.newPhone()
    await scan(await raw.waitForText(1), phone.number)
    expect(JSON.parse(await json.waitForText(2))).toMatchObject({
      type: 'connected',
      platform: 'wa',
      device_id: phone.number,
    })
    for (const socket of [raw, json, png, svg, terminal]) expect((await socket.closed).code).toBe(1000)
    expect(raw.frames).toHaveLength(2)
  })

  test('of another platform can be asked for', async () => {
    const account = await client.account()
    await account.addDevice('signal')
    await account.addDevice('telegram')
    await using newest = watchSocket(qrUrl(account, '&format=json'))
    await using signal = watchSocket(qrUrl(account, '&format=json&platform=signal'))
    expect(await newest.waitForText(0)).toContain('Telegram')
    expect(await signal.waitForText(0)).toContain('Signal')
  })

  test('takes the token from the header too', async () => {
    const account = await client.account()
    const [url = ''] = (await account.addDevice('wa')).split('?')
    await using socket = watchSocket(url, { authorization: bearer(account.token) })
    expect(await socket.waitForText(0)).toContain('/sandbox/link/')
  })

  test('a flow that asks for something says what', async () => {
    const account = await client.account()
    const { status } = await account.api.post('/api/v1/devices', { platform: 'wa', flow: 'phone' })
    expect(status).toBe(201)
    await using socket = watchSocket(qrUrl(account, '&format=json'))
    expect(JSON.parse(await socket.waitForText(0))).toMatchObject({
      type: 'input',
      fields: [expect.objectContaining({ id: 'phone_number' })],
    })
  })
})

describe('a login that asks', () => {
  interface Link {
    id: string
    state: string
    step: Record<string, unknown> & { message?: string; fields?: { id: string }[] }
  }
  const begin = async (account: Account, request: Record<string, unknown>) =>
    account.api.post<{ message: string; error: string; link: Link }>('/api/v1/devices', request)
  const answer = (account: Account, id: string, inputs: Record<string, string>) =>
    account.api.post<Link & { error: string }>(`/api/v1/devices/links/${id}`, { inputs })

  /** The code the network sent to its owner's other devices. */
  async function sentCode(phone: { number: string }): Promise<string> {
    const found = await client.phone(phone.number).waitForMessage(({ text }) => text.includes('Login code'))
    return /\d{5}/.exec(found.text)?.[0] ?? ''
  }

  test('for the number, and shows the pairing code', async () => {
    const account = await client.account()
    const phone = await client.newPhone()
    const started = await begin(account, { platform: 'wa', flow: 'phone' })
    const { id } = started.body.link
    expect(started.body.message).toBe(`Answer with POST /api/v1/devices/links/${id}: phone_number`)
    await using raw = watchSocket(qrUrl(account))
    const shown = await answer(account, id, { phone_number: phone.number })
    expect(shown.body).toMatchObject({ state: 'waiting_for_code', step: { type: 'code' } })
    expect(await raw.waitForText(0)).toBe(String(shown.body.step.code))
    await scan(`${gateway.url}/sandbox/link/${shown.body.step.code}`, phone.number)
    expect(await raw.closed).toEqual({ code: 1000, reason: `connected: ${phone.number}` })
    expect((await account.api.get<Link>(`/api/v1/devices/links/${id}`)).body.state).toBe('connected')
  })

  test('for what is known beforehand: one request shows the pairing code', async () => {
    const account = await client.account()
    const phone = await client.newPhone()
    const inputs = { phone_number: `+${phone.number}` }
    const { status, body } = await begin(account, { platform: 'wa', flow: 'phone', inputs })
    expect([status, body.link.state]).toEqual([201, 'waiting_for_code'])
    expect(body.message).toBe(`Enter the code ${body.link.step.code} on your phone to link your device`)
    const wrong = await begin(account, { platform: 'wa', flow: 'phone', inputs: { phone_number: '999123' } })
    expect(wrong).toMatchObject({
      status: 400,
      body: { error: 'phone_number: the bridge refused this: The phone number is not valid' },
    })
  })

  test('for a code over the socket, and again after a wrong one', async () => {
    const account = await client.account()
    const phone = await client.newPhone()
    await begin(account, { platform: 'telegram', flow: 'phone', inputs: { phone_number: phone.number } })
    await using socket = watchSocket(qrUrl(account, '&format=json'))
    expect(JSON.parse(await socket.waitForText(0))).toMatchObject({ type: 'input', fields: [{ id: 'code' }] })
    socket.send({ type: 'input', fields: { kode: '1' } })
    expect(JSON.parse(await socket.waitForText(1))).toEqual({
      type: 'error',
      code: 'bad_request',
      message: "kode: this isn't asked for, expected code",
    })
    socket.send({ type: 'input', fields: { code: '00000' } })
    expect(JSON.parse(await socket.waitForText(2)).message).toBe(
      'code: the bridge refused this: The code is not right; the link goes on, answer again',
    )
    socket.send({ type: 'input', fields: { code: await sentCode(phone) } })
    expect(JSON.parse(await socket.waitForText(3))).toMatchObject({ type: 'connected', platform: 'telegram' })
    expect((await socket.closed).code).toBe(1000)
  })

  test('is cancelled, by request and by frame', async () => {
    const account = await client.account()
    const { link } = (await begin(account, { platform: 'wa', flow: 'phone' })).body
    expect((await account.api.delete(`/api/v1/devices/links/${link.id}`)).status).toBe(200)
    await begin(account, { platform: 'wa' })
    await using socket = watchSocket(qrUrl(account))
    const payload = await socket.waitForText(0)
    socket.send({ type: 'cancel' })
    expect(await socket.closed).toEqual({ code: 4410, reason: 'the link was cancelled' })
    await waitFor(async () => (await scan(payload)).status === 410, { what: 'the code to be void' })
  })

  test('a device is linked again in place of its old login', async () => {
    const { account, device, phone } = await client.linkedAccount()
    const { body } = await begin(account, { platform: 'wa', device_id: device })
    await scan(String(body.link.step.payload), phone.number)
    await waitFor(async () => {
      const link = (await account.api.get<Link>(`/api/v1/devices/links/${body.link.id}`)).body
      return link.state === 'connected'
    })
    expect(await numbersOf(account)).toEqual([device])
    const none = await begin(account, { platform: 'wa', device_id: '1' })
    expect(none).toMatchObject({ status: 404, body: { error: 'device_id: there is no wa device 1' } })
  })
})

describe('the token', () => {
  test('deleted while the socket is open closes it', async () => {
    const account = await client.account()
    await using socket = watchSocket(await account.addDevice('wa'))
    await socket.waitForText(0)
    const tokens = (await client.admin.get<{ id: number }[]>('/api/v1/tokens')).body
    expect((await client.admin.delete(`/api/v1/tokens/${tokens.at(-1)?.id}`)).status).toBe(200)
    gateway.clock.skip(2_000)
    expect(await socket.closed).toEqual({ code: 4403, reason: 'This token is unknown' })
  })
})

describe('the end', () => {
  test('nobody scans in time', async () => {
    const account = await client.account()
    const url = await account.addDevice('wa')
    await using socket = watchSocket(url)
    await using json = watchSocket(`${url}&format=json`)
    for (let shown = 1; shown <= CODES; shown++) {
      await socket.waitForText(shown - 1)
      await json.waitForText(shown - 1)
      gateway.clock.skip(REFRESH_MS)
    }
    expect(await socket.closed).toEqual({ code: 4408, reason: expect.stringContaining('timed out') })
    expect(socket.frames).toHaveLength(CODES)
    expect(new Set(socket.frames).size).toBe(CODES)
    expect(JSON.parse(await json.waitForText(CODES))).toMatchObject({ type: 'error', code: 'timeout' })
    expect((await scan(String(socket.frames.at(-1)))).status).toBe(410)
    await using late = watchSocket(url)
    expect((await late.closed).code).toBe(4408)

    const phone = await client.newPhone()
    await account.link(phone.number)
    expect(await numbersOf(account)).toEqual([phone.number])
  })

  test('a newer link takes its place', async () => {
    const account = await client.account()
    const phone = await client.newPhone()
    await using first = watchSocket(await account.addDevice('wa'))
    const old = await first.waitForText(0)
    await using second = watchSocket(await account.addDevice('wa'))
    expect(await first.closed).toEqual({ code: 4409, reason: expect.stringContaining('newer link') })
    const payload = await second.waitForText(0)
    expect(payload).not.toBe(old)
    await waitFor(async () => (await scan(old, phone.number)).status === 410, { deadlineMs: DEADLINE_MS })
    expect(await numbersOf(account)).toEqual([])
    await scan(payload, phone.number)
    expect((await second.closed).code).toBe(1000)
    expect(await numbersOf(account)).toEqual([phone.number])
  })

  test('the gateway stops', async () => {
    const other = await testGateway()
    const account = await other.client.account()
    const socket = watchSocket(await account.addDevice('wa'))
    await socket.waitForText(0)
    await other[Symbol.asyncDispose]()
    expect(await socket.closed).toEqual({ code: 4410, reason: 'the gateway is stopping' })
  })

  test('one client leaves, the other goes on', async () => {
    const account = await client.account()
    const url = await account.addDevice('wa')
    const leaving = watchSocket(url)
    await using staying = watchSocket(url)
    await leaving.waitForText(0)
    await leaving[Symbol.asyncDispose]()
    await staying.waitForText(0)
    gateway.clock.skip(REFRESH_MS)
    expect(await staying.waitForText(1)).toContain('/sandbox/link/')
  })
})

test('when nothing is being linked, or by somebody else, the socket tells so and is closed', async () => {
  const account = await client.account()
  await account.addDevice('wa')
  const stranger = await client.account()
  const socketUrl = `${gateway.url.replace('http', 'ws')}/api/v1/devices/qr-code`
  for (const query of [`?token=${stranger.token}`, `?token=${account.token}&platform=signal`]) {
    await using socket = watchSocket(`${socketUrl}${query}&format=json`)
    const told = JSON.parse(await socket.waitForText(0))
    expect(told).toMatchObject({ type: 'error', code: 'not_found' })
    expect(await socket.closed).toEqual({ code: 4404, reason: told.message })
  }
})

describe('refused before the upgrade', () => {
  const handshake = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  }
  const path = '/api/v1/devices/qr-code'

  test.each<[string, string, Record<string, string>, number]>([
    ['without a token', '', handshake, 401],
    ['with an empty token', '?token=', handshake, 401],
    ['with a malformed header', '', { ...handshake, authorization: 'Basic abc' }, 401],
    ['with an unknown token', '?token=mt_unknown', handshake, 403],
    ['with an unknown token in the header', '', { ...handshake, authorization: 'Bearer mt_unknown' }, 403],
  ])('%s', async (_what, query, headers, status) => {
    const answer = await fetch(gateway.url + path + query, { headers })
    expect(answer.status).toBe(status)
    expect(answer.headers.has('www-authenticate')).toBe(status === 401)
    expect(await answer.json()).toMatchObject({ error: expect.any(String), code: expect.any(String) })
  })

  test('when it is no handshake, or asks for a form that is none', async () => {
    const account = await client.account()
    await account.addDevice('wa')
    expect((await account.api.get(path)).status).toBe(426)
    const query = `?token=${account.token}&format=gif`
    expect((await fetch(gateway.url + path + query, { headers: handshake })).status).toBe(400)
  })
})

describe('the address of the socket', () => {
  async function urlFor(at: TestGateway, headers: Record<string, string>): Promise<string> {
    const account = await at.client.account()
    const answer = await fetch(`${at.url}/api/v1/devices`, {
      method: 'POST',
      headers: { authorization: bearer(account.token), 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ platform: 'wa' }),
    })
    const { qr_code_url: url } = (await answer.json()) as { qr_code_url: string }
    return url.replace(account.token, 'TOKEN')
  }

  test.each<[string, string, string]>([
    ['https', 'gw.example.com', 'wss://gw.example.com'],
    ['https, http', 'gw.example.com:8443, inner', 'wss://gw.example.com:8443'],
    ['http', '[::1]:80', 'ws://[::1]:80'],
  ])('behind a proxy that was asked for %s at %s is %s', async (protocol, host, origin) => {
    const headers = { 'x-forwarded-proto': protocol, 'x-forwarded-host': host }
    expect(await urlFor(gateway, headers)).toBe(`${origin}/api/v1/devices/qr-code?token=TOKEN`)
  })

  test('is our own when the headers make no sense', async () => {
    const headers = { 'x-forwarded-proto': 'javascript', 'x-forwarded-host': 'evil/?x="' }
    const own = gateway.url.replace('http', 'ws')
    expect(await urlFor(gateway, headers)).toBe(`${own}/api/v1/devices/qr-code?token=TOKEN`)
  })

  test('with PUBLIC_URL it is that one, and so is what the code leads to', async () => {
    await using behind = await testGateway({ PUBLIC_URL: 'https://gateway.example.com/' })
    const forwarded = { 'x-forwarded-host': 'other.example.com' }
    expect(await urlFor(behind, forwarded)).toBe(
      'wss://gateway.example.com/api/v1/devices/qr-code?token=TOKEN',
    )
    const account = await behind.client.account()
    await account.addDevice('wa')
    await using socket = watchSocket(
      `${behind.url.replace('http', 'ws')}/api/v1/devices/qr-code?token=${account.token}`,
    )
    expect(await socket.waitForText(0)).toStartWith('https://gateway.example.com/sandbox/link/')
  })
})

describe('devices', () => {
  test('appear when they are linked, oldest first, whatever their platform', async () => {
    const account = await client.account()
    expect(await account.devices()).toEqual([])
    const phones = [await client.newPhone(), await client.newPhone(), await client.newPhone()]
    const platforms = ['signal', 'wa', 'telegram'] as const
    for (const [index, { number }] of phones.entries()) await account.link(number, platforms[index])
    expect(await account.devices()).toEqual(
      phones.map(({ number }, index) => ({
        id: expect.any(String),
        platform: platforms[index] ?? '',
        device_id: number,
        state: 'connected',
        reason: null,
        since: expect.any(String),
        name: expect.any(String),
        phone: number,
        linked_at: expect.any(String),
        restricted: null,
      })),
    )
  })

  test('that are deleted are gone at both ends', async () => {
    const { account, device } = await client.linkedAccount()
    const friend = await client.newPhone()
    await using inbox = await InboxReader.open(account)
    await friend.send({ to: device, text: 'before' })
    expect((await inbox.next()).message).toBe('before')
    expect(await linkedOn(device)).toHaveLength(1)

    const answer = await account.api.delete('/api/v1/devices', { device_id: device, platform: 'wa' })
    expect(answer).toMatchObject({ status: 200, body: { message: expect.any(String) } })
    expect(await account.devices()).toEqual([])
    expect(await linkedOn(device)).toEqual([])
    expect((await account.trySend(device, { contact: friend.number, text: 'x' })).status).toBe(404)
    const again = await account.api.delete('/api/v1/devices', { device_id: device, platform: 'wa' })
    expect(again).toMatchObject({ status: 404, body: { code: 'not_found' } })

    await friend.send({ to: device, text: 'while it was gone' })
    gateway.clock.skip(10_000)
    await account.link(device)
    await friend.send({ to: device, text: 'after' })
    expect((await inbox.next()).message).toBe('after')
  })

  test('cannot be deleted by others, nor under another platform', async () => {
    const { account, device } = await client.linkedAccount()
    const stranger = await client.account()
    const wanted = { device_id: device, platform: 'wa' }
    expect((await stranger.api.delete('/api/v1/devices', wanted)).status).toBe(404)
    expect((await account.api.delete('/api/v1/devices', { ...wanted, platform: 'signal' })).status).toBe(404)
    expect((await account.api.delete('/api/v1/devices', { device_id: device })).status).toBe(400)
    expect(await numbersOf(account)).toEqual([device])
  })

  test('that are logged out at the phone stay in the list; linked again, they work as before', async () => {
    const { account, device } = await client.linkedAccount()
    const [before] = await account.devices()
    const friend = await client.newPhone()
    await using inbox = await InboxReader.open(account)
    await account.send(device, { contact: friend.number, text: 'one' })
    await friend.waitForText('one')
    await client.setFaults({ platform: 'wa', logout: device })
    const lost = await loggedOut(account)
    expect(lost).toMatchObject([{ device_id: device, state: 'logged_out', reason: expect.any(String) }])
    const refused = await account.trySend(device, { contact: friend.number, text: 'lost' })
    expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } })
    expect(refused.body.error).toContain('link it again')

    await account.link(device)
    expect(await account.devices()).toMatchObject([{ device_id: device, state: 'connected', reason: null }])
    expect((await account.devices())[0]?.linked_at).not.toBe(before?.linked_at as string)
    await account.send(device, { contact: friend.number, text: 'two' })
    await friend.waitForText('two')
    await friend.send({ to: device, text: 'three' })
    expect((await inbox.next()).message).toBe('three')
    expect((await friend.received()).map(({ text }) => text)).toEqual(['one', 'two'])
  })

  test('that are logged out can be deleted', async () => {
    const { account, device } = await client.linkedAccount()
    await client.setFaults({ platform: 'wa', logout: device })
    await loggedOut(account)
    const answer = await account.api.delete('/api/v1/devices', { device_id: device, platform: 'wa' })
    expect(answer.status).toBe(200)
    expect(await account.devices()).toEqual([])
    const sent = await account.trySend(device, { contact: '1', text: 'x' })
    expect(sent.status).toBe(404)
  })

  test('that somebody else links are theirs from then on', async () => {
    const { account, device } = await client.linkedAccount()
    const other = await client.account()
    await other.link(device)
    expect(await numbersOf(other)).toEqual([device])
    expect(await loggedOut(account)).toMatchObject([{ device_id: device, state: 'logged_out' }])
    const friend = await client.newPhone()
    await using inbox = await InboxReader.open(other)
    await using former = await InboxReader.open(account)
    await friend.send({ to: device, text: 'to the new owner' })
    expect((await inbox.next()).message).toBe('to the new owner')
    expect(former.unread).toBe(0)
  })

  test('linked twice are one device', async () => {
    const { account, device } = await client.linkedAccount()
    await account.link(device)
    expect(await numbersOf(account)).toEqual([device])
  })
})

describe('a bridge that cannot reach its network', () => {
  test('refuses a link with its reason, tells it of its devices, and goes on where it was', async () => {
    const { account, device } = await client.linkedAccount({ platform: 'signal' })
    const friend = await client.newPhone()
    await using inbox = await InboxReader.open(account)
    await client.setFaults({ platform: 'signal', offline: true })
    const answer = await account.api.post<{ error: string; code: string }>('/api/v1/devices', {
      platform: 'signal',
    })
    expect([502, 503]).toContain(answer.status)
    expect(answer.body.code).toStartWith('bridge_')
    expect(answer.body.error).toContain('Internal error starting login')
    const [offline] = await account.devices()
    expect(offline).toMatchObject({ device_id: device, state: 'disconnected', reason: expect.any(String) })
    await friend.send({ to: device, platform: 'signal', text: 'meanwhile' })

    await client.setFaults({ platform: 'signal', offline: false })
    expect((await inbox.next()).message).toBe('meanwhile')
    const [online] = await account.devices()
    expect(online).toMatchObject({ device_id: device, state: 'connected', reason: null })
  })

  test('and a platform without a bridge', async () => {
    const account = await client.account()
    const answer = await account.api.post('/api/v1/devices', { platform: 'pigeon' })
    expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } })
    expect((await account.api.post('/api/v1/devices', {})).status).toBe(400)
    const flow = await account.api.post('/api/v1/devices', { platform: 'wa', flow: 'telepathy' })
    expect(flow.status).toBe(400)
  })
})
