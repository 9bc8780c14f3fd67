/** The gateway finds a bridge's driver by itself, again when the bridge has been away. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createBridge } from '../../../src/bridges/bridge.ts'
import type { Bridge, MatrixSession } from '../../../src/domain/ports.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { HastyClock, ScriptedBot } from '../../support/scripted-bot.ts'

const BOT = '@wabot:s'

let server: ReturnType<typeof Bun.serve>
let whoami: () => Response
let capabilities: () => Response
let rooms: number

beforeEach(() => {
  rooms = 0
  capabilities = () => Response.json({})
  whoami = () => Response.json({ bridge_bot: '@told:s', network: { displayname: 'WhatsApp' } })
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: request => answer(new URL(request.url).pathname),
  })
})
afterEach(() => server.stop(true))

function answer(path: string): Response {
  if (path.endsWith('/whoami')) return whoami()
  return path.endsWith('/capabilities') ? capabilities() : Response.json({})
}

const session: Partial<MatrixSession> = {
  userId: '@u:s',
  createDirectRoom: async () => {
    rooms += 1
    throw new Error('no room here')
  },
}

function bridge(change: { bot?: undefined; sharedSecret?: string } = {}): Bridge {
  const baseUrl = `http://127.0.0.1:${server.port}`
  const config = { platform: 'wa', baseUrl, sharedSecret: 'secret', bot: BOT, ...change }
  return createBridge(config, { actingAs: () => session as MatrixSession }, systemClock)
}

const disabled = () =>
  Response.json({ errcode: 'M_FORBIDDEN', error: 'Provisioning API is disabled' }, { status: 403 })
const missing = () =>
  Response.json({ errcode: 'M_UNRECOGNIZED', error: 'Unrecognized endpoint' }, { status: 404 })
const foreign = () => new Response('404: Not Found', { status: 404 })

test('the provisioning API where there is one, asked for once', async () => {
  let asked = 0
  const tell = whoami
  whoami = () => {
    asked += 1
    return tell()
  }
  const one = bridge()
  expect(await one.driver('@u:s')).toBe('provisioning')
  expect(await one.driver('@u:s')).toBe('provisioning')
  expect(asked).toBe(1)
  expect(await one.describe('@u:s')).toMatchObject({
    name: 'WhatsApp',
    driver: 'provisioning',
    bot: '@told:s',
  })
})

test('an older bridge that tells nothing of what it can is there all the same', async () => {
  capabilities = () => Response.json({ errcode: 'M_UNRECOGNIZED', error: 'Unrecognized' }, { status: 404 })
  expect(await bridge().describe('@u:s')).toMatchObject({
    name: 'WhatsApp',
    capabilities: { resolve: null, contact_list: null },
  })
})

test.each([
  // mautrix-linkedin and -gmessages look up neither numbers nor names, but can write to any id.
  [{ create_dm: true, lookup_phone: false, lookup_email: false, lookup_username: false }, true],
  [{ create_dm: false, lookup_phone: false, lookup_email: false, lookup_username: true }, true],
  [{ create_dm: false, lookup_phone: false, lookup_email: false, lookup_username: false }, false],
  [{ contact_list: true }, null],
])('of a bridge that says %p addresses can be asked about: %p', async (told, resolve) => {
  capabilities = () => Response.json({ resolve_identifier: told })
  expect(await bridge().describe('@u:s')).toMatchObject({ capabilities: { resolve } })
})

test('a page of a proxy in its place is told from a bridge', async () => {
  whoami = () => new Response('<h1>Welcome</h1>', { headers: { 'content-type': 'text/html; charset=utf-8' } })
  await expect(bridge().flows('@u:s')).rejects.toMatchObject({
    code: 'bridge_error',
    message: expect.stringContaining("no bridge, or a broken one (text/html that isn't JSON)"),
  })
})

describe.each([
  ['switched off', disabled],
  ['missing', missing],
  ['of another kind of bridge', foreign],
])('an API that is %s', (_what, refuse) => {
  test('means writing to the bot, until it is there', async () => {
    whoami = refuse
    const one = bridge()
    expect(await one.driver('@u:s')).toBe('bot')
    expect(await one.bot('@u:s')).toBe(BOT)
    whoami = () => Response.json({})
    expect(await one.driver('@u:s')).toBe('provisioning')
  })

  test('after it was there means writing to the bot at once', async () => {
    const one = bridge()
    await one.describe('@u:s')
    whoami = refuse
    await expect(one.flows('@u:s')).rejects.toThrow('no room here')
    expect(rooms).toBe(1)
    expect(await one.driver('@u:s')).toBe('bot')
  })

  test('is an error that says what to do, where no bot is known', async () => {
    whoami = refuse
    await expect(bridge({ bot: undefined }).flows('@u:s')).rejects.toMatchObject({
      code: 'bridge_error',
      message: expect.stringContaining('BRIDGE_WA_BOT'),
    })
  })
})

test('a bridge without a secret is only spoken to by its bot', async () => {
  expect(await bridge({ sharedSecret: '' }).driver('@u:s')).toBe('bot')
})

test('a refused secret is no reason to write to the bot', async () => {
  whoami = () => Response.json({ errcode: 'M_UNKNOWN_TOKEN', error: 'Invalid auth token' }, { status: 401 })
  await expect(bridge().logins('@u:s')).rejects.toMatchObject({
    code: 'bridge_error',
    message: expect.stringContaining("doesn't accept our provisioning secret"),
  })
})

test.each([
  [10_000, 'within 4 s'],
  [14_000, 'in time'],
])(
  'a bridge that takes %d ms to start leaves its silent bot only the rest of the time',
  async (startMs, limit) => {
    whoami = missing
    const clock = new HastyClock()
    const until = 14_000
    const watch = { check: async () => undefined, started: () => clock.sleep(startMs) }
    const config = { platform: 'wa', baseUrl: server.url.origin, sharedSecret: 'secret', bot: '@testbot:s' }
    const actingAs = () => new ScriptedBot(() => undefined).session
    const one = createBridge(config, { actingAs }, clock, watch)
    await expect(one.flows('@u:s', until)).rejects.toMatchObject({
      code: 'bridge_timeout',
      message: expect.stringContaining(limit),
    })
    expect(clock.steady()).toBeLessThan(15_000)
  },
)

test('a bridge that is gone gets no room made for its bot', async () => {
  whoami = disabled
  const one = bridge()
  expect(await one.driver('@u:s')).toBe('bot')
  await server.stop(true)
  await expect(one.logins('@u:s')).rejects.toMatchObject({ code: 'bridge_unavailable' })
  expect(rooms).toBe(0)
})
