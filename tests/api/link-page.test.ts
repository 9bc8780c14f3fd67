/** /link/<ticket>: linking a phone by a page, without a token; and the front page. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { GatewayError } from '../../src/domain/errors.ts'
import type { LinkEvent } from '../../src/domain/views/link.ts'
import { collectedLog } from '../support/collected-log.ts'
import { basic, testHttp } from '../support/test-http.ts'

let app: Awaited<ReturnType<typeof testHttp>>
let log: ReturnType<typeof collectedLog>
let token: string
let path: string

const QR: LinkEvent = {
  type: 'qr',
  payload: 'https://x.test/<code>',
  image_url: null,
  instructions: 'Scan <it>',
}

beforeEach(async () => {
  log = collectedLog()
  app = await testHttp({ logger: log.logger })
  token = await app.newToken()
  path = await linkPath()
})
afterEach(() => app.destroy())

/** Starts a link. @returns the path of its page */
async function linkPath(): Promise<string> {
  const json = { platform: 'wa' }
  const { body } = await app.call('POST', '/api/v1/devices', { auth: `Bearer ${token}`, json })
  return new URL(String(body.link_url)).pathname
}

const get = (where = path) => app.http.handle(new Request(`http://localhost:8080${where}`))
const post = (fields: Record<string, string>) =>
  app.http.handle(
    new Request(`http://localhost:8080${path}`, { method: 'POST', body: new URLSearchParams(fields) }),
  )

async function shown(step: LinkEvent): Promise<string> {
  app.link.emit(step)
  const response = await get()
  expect(response.status).toBe(200)
  return response.text()
}

test('the ticket has 128 bits, and each link one of its own', async () => {
  expect(path).toMatch(/^\/link\/[\w-]{22}$/)
  expect(await linkPath()).not.toBe(path)
})

describe('the page', () => {
  test('draws the code, and says what the bridge says, as text', async () => {
    const text = await shown(QR)
    expect(text).toContain('<svg xmlns="http://www.w3.org/2000/svg"')
    expect(text).toContain('Scan &lt;it&gt;')
    expect(text).toContain('<a href="https://x.test/&lt;code&gt;"')
    expect(text).not.toContain('<code>')
  })

  test('shows nothing of the token, nor of the identity', async () => {
    const text = await shown(QR)
    expect(text).not.toContain(token)
    expect(text).not.toContain('mt_')
  })

  test('is kept by nobody, framed by nobody, and tells nobody where it is', async () => {
    const { headers } = await get()
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    const policy = headers.get('content-security-policy') ?? ''
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('unsafe')
  })

  test('is framed by the pages of LINK_FRAME_ORIGINS alone', async () => {
    const framed = await testHttp({ http: { linkFrameOrigins: ['https://app.example.com'] } })
    const { headers } = await framed.http.handle(new Request('http://localhost:8080/link/x'))
    await framed.destroy()
    expect(headers.get('content-security-policy')).toContain('frame-ancestors https://app.example.com')
  })

  test.each([
    [
      { type: 'code', code: 'ABCD-EFGH', image_url: null, instructions: '' },
      ['ABCD-EFGH', 'Enter this code'],
    ],
    [
      { type: 'emoji', emoji: '🐱', image_url: 'https://x.test/cat', instructions: '' },
      ['🐱', 'https://x.test/cat'],
    ],
    [{ type: 'wait', instructions: 'Confirm' }, ['Confirm']],
    [{ type: 'connected', platform: 'wa', device_id: '237', name: 'Ann' }, ['Linked: Ann']],
    [{ type: 'error', code: 'timeout', message: 'nobody scanned' }, ['Not linked: nobody scanned']],
  ] as const)('%j', async (step, texts) => {
    const page = await shown(step as LinkEvent)
    for (const text of texts) expect(page).toContain(text)
  })

  test('asks for what a step wants, by its type', async () => {
    const field = (id: string, type: string, more = {}) => ({
      ...{ id, type, name: `Your ${id}`, description: '', required: true, options: [], pattern: null },
      ...{ default_value: null, ...more },
    })
    const page = await shown({
      type: 'input',
      fields: [
        field('phone', 'phone_number'),
        field('code', '2fa_code'),
        field('secret', 'password', { required: false }),
        field('dc', 'select', { options: ['eu', 'us'], default_value: 'us' }),
      ],
      attachments: [{ file_name: 'captcha.png', mime_type: 'image/png', content: 'AAAA' }],
      instructions: '',
    })
    expect(page).toContain('<input name="phone" type="tel" value="" autocomplete="off" required>')
    expect(page).toContain('inputmode="numeric" autocomplete="one-time-code"')
    expect(page).toContain('<input name="secret" type="password" value="" autocomplete="off">')
    expect(page).toContain('<option>eu</option><option selected>us</option>')
    expect(page).toContain('<img src="data:image/png;base64,AAAA" alt="captcha.png">')
  })

  test('a passkey: what to do, and a script that cannot leave its place', async () => {
    const page = await shown({
      type: 'passkey',
      url: 'https://web.whatsapp.com',
      publicKey: { challenge: '</script><b>' },
      fields: [
        {
          ...{ id: 'credential', type: 'credential', name: 'Passkey', description: '', required: true },
          ...{ options: [], pattern: null, default_value: null },
        },
      ],
      instructions: '',
    })
    expect(page).toContain('href="https://web.whatsapp.com"')
    expect(page).toContain(
      'copy(JSON.stringify(await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON',
    )
    expect(page).toContain('<textarea name="credential" rows="4" autocomplete="off" required>')
    expect(page).not.toContain('</script><b>')
  })
})

describe('an answer', () => {
  test('goes to the bridge, and leads back to the page', async () => {
    const response = await post({ code: '12345' })
    expect(response.status).toBe(303)
    expect(response.headers.get('location')).toBe(path)
    expect(app.link.answers).toEqual([{ code: '12345' }])
  })

  test('that is refused is said in the page', async () => {
    app.failures.answer = new GatewayError('bad_request', 'code: wrong <one>')
    const response = await post({ code: '1' })
    expect(response.status).toBe(400)
    expect(await response.text()).toContain(
      '<p id="refusal" class="problem" role="alert">code: wrong &lt;one&gt;</p>',
    )
  })
})

describe('a ticket', () => {
  const isGone = async (where = path) => {
    const response = await get(where)
    return { status: response.status, gone: (await response.text()).includes('no longer good') }
  }
  const GONE = { status: 404, gone: true }

  test('that was never given out', async () => {
    expect(await isGone('/link/AAAAAAAAAAAAAAAAAAAAAA')).toEqual(GONE)
    expect(await isGone('/link/x')).toEqual(GONE)
    expect(await isGone('/link/AAAAAAAAAAAAAAAAAAAAAA/events')).toEqual(GONE)
  })

  test('ends with its token', async () => {
    const { body } = await app.call('GET', '/api/v1/tokens', { auth: basic() })
    for (const { id } of body.list as { id: number }[])
      await app.call('DELETE', `/api/v1/tokens/${id}`, { auth: basic() })
    expect(await isGone()).toEqual(GONE)
    expect((await post({ code: '1' })).status).toBe(404)
    expect(app.link.answers).toEqual([])
  })

  test('a look starts nothing', async () => {
    const before = app.link.started.length
    await get()
    await get(`${path}/events`).then(response => response.body?.cancel())
    expect(app.link.started).toHaveLength(before)
  })
})

test('the page follows its link to its end, by events', async () => {
  app.link.emit(QR)
  const response = await get(`${path}/events`)
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const next = async () => new TextDecoder().decode((await reader.read()).value)
  expect(await next()).toMatch(/^event: step\ndata: .*Scan/)
  app.link.emit({ type: 'code', code: 'ABCD', image_url: null, instructions: '' })
  expect(await next()).toContain('ABCD')
  app.link.emit({ type: 'connected', platform: 'wa', device_id: '237', name: 'Ann' })
  expect(await next()).toMatch(/Linked: Ann[\s\S]*event: end\ndata: \n\n$/)
  expect((await reader.read()).done).toBe(true)
})

test('the page is told nothing more once the token is gone', async () => {
  app.link.emit(QR)
  const response = await get(`${path}/events`)
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  await reader.read()
  const { body } = await app.call('GET', '/api/v1/tokens', { auth: basic() })
  for (const { id } of body.list as { id: number }[])
    await app.call('DELETE', `/api/v1/tokens/${id}`, { auth: basic() })
  const next = reader.read()
  app.link.emit({ type: 'code', code: 'SECRET', image_url: null, instructions: '' })
  expect((await next).done).toBe(true)
})

test('logs have no ticket', async () => {
  await get()
  expect(log.text()).toContain('/link/…')
  expect(log.text()).not.toContain(path.slice('/link/'.length))
})

test('the front page leads to the API', async () => {
  const response = await get('/')
  expect(response.status).toBe(200)
  const text = await response.text()
  expect(text).toContain('<a href="/docs/index.html">')
  expect(text).not.toContain('/sandbox')
})
