/** Linking: codes that refresh, scans, pairing codes, passwords, linking again and logging out. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { waitFor } from '../../support/wait-for.ts'
import { createHarness, type Harness, type Json, manualClock, type Step, USER } from './harness.ts'

const BOB = '@mg_bob:test.example'

let harness: Harness
let clock: ReturnType<typeof manualClock>
beforeEach(async () => {
  clock = manualClock()
  harness = await createHarness({ clock })
})
afterEach(() => harness.close())

async function start(flow = 'qr', platform: 'wa' | 'signal' | 'telegram' = 'wa'): Promise<Step> {
  const { status, body } = await harness.provision('POST', `login/start/${flow}`, { platform })
  expect(status).toBe(200)
  return body as unknown as Step
}

function wait(step: Step, platform: 'wa' | 'signal' | 'telegram' = 'wa') {
  const path = `login/step/${step.login_id}/${step.step_id}/display_and_wait`
  return harness.provision('POST', path, { platform })
}

function type(step: Step, typed: Record<string, string>, platform: 'wa' | 'telegram') {
  const path = `login/step/${step.login_id}/${step.step_id}/user_input`
  return harness.provision('POST', path, { platform, body: typed })
}

const codeOf = (step: Step) => step.display_and_wait?.data?.split('/').at(-1) ?? ''

async function logins(platform: 'wa' | 'signal' | 'telegram' = 'wa', user = USER): Promise<Json[]> {
  return (await harness.provision('GET', 'whoami', { platform, user })).body.logins as Json[]
}

test('a phone that logs a device out has its bridge report so, and a user who logs out has not', async () => {
  await harness.link('5550177')
  // The bridge is up once it has made a room.
  await harness.room('1234567890')
  expect((await harness.api('POST', 'api/faults', { logout: '5550177' })).status).toBe(200)
  const told = { platform: 'wa', userId: USER, loginId: '5550177', state: 'BAD_CREDENTIALS' }
  const ofLogins = () => harness.reported.filter(({ state }) => state !== 'RUNNING')
  expect(ofLogins()).toEqual([told])
  await harness.link('5550178')
  await harness.provision('POST', 'logout/5550178')
  expect(ofLogins()).toEqual([told])
})

test('a bridge reports itself when it is up', async () => {
  await harness.link('5550179')
  await harness.room('1234567890')
  expect(harness.reported).toContainEqual({ platform: 'wa', state: 'RUNNING' })
})

test('a body that is too large is a 413', async () => {
  const body = { query: 'x'.repeat(64 * 1024) }
  expect((await harness.provision('POST', 'search_users', { body })).status).toBe(413)
})

describe('whoami', () => {
  test('says what network it is, how to log in and who is', async () => {
    const { status, body } = await harness.provision('GET', 'whoami')
    expect(status).toBe(200)
    expect(body).toMatchObject({
      network: { displayname: 'WhatsApp', network_id: 'whatsapp', beeper_bridge_type: 'whatsapp' },
      homeserver: 'test.example',
      bridge_bot: '@whatsappbot:test.example',
      command_prefix: '!wa',
      logins: [],
    })
    expect((body.login_flows as Json[]).map(flow => flow.id)).toEqual(['qr', 'phone'])
  })

  test('needs the secret and a user', async () => {
    const wrong = await harness.provision('GET', 'whoami', { secret: 'wrong' })
    expect([wrong.status, wrong.body.errcode]).toEqual([401, 'M_UNKNOWN_TOKEN'])
    const nobody = await harness.provision('GET', 'whoami', { user: '' })
    expect([nobody.status, nobody.body.errcode]).toEqual([401, 'M_UNKNOWN_TOKEN'])
  })
})

describe('QR codes', () => {
  test('a scanned code links the phone that was chosen', async () => {
    const step = await start()
    expect(step).toMatchObject({ type: 'display_and_wait', step_id: 'fi.mau.whatsapp.login.qr' })
    expect(step.display_and_wait?.data).toStartWith('http://localhost:8080/sandbox/link/')
    const waiting = wait(step)
    const linked = await harness.api('POST', `link/${codeOf(step)}`, { phone: '+1 (234) 567-890' })
    expect(linked.status).toBe(200)
    expect(linked.json).toMatchObject({ linked: true, phone: '1234567890', platform: 'wa' })
    expect((await waiting).body).toMatchObject({
      type: 'complete',
      step_id: 'fi.mau.whatsapp.login.complete',
      complete: { user_login_id: '1234567890' },
    })
    expect(await logins()).toMatchObject([
      { id: '1234567890', profile: { phone: '+1234567890' }, state: { state_event: 'CONNECTED' } },
    ])
  })

  test('without a body the default phone is linked', async () => {
    expect(await harness.link()).toBe('237123456789')
  })

  test('each refresh is a new step with the same id; the codes before it are good as long as the login waits', async () => {
    const first = await start()
    const waiting = wait(first)
    await clock.advance(20_000)
    const second = (await waiting).body as unknown as Step
    expect(second.step_id).toBe(first.step_id)
    expect(codeOf(second)).not.toBe(codeOf(first))
    const states = async () =>
      Promise.all(
        [first, second].map(async step => (await harness.api('GET', `link/${codeOf(step)}`)).status),
      )
    expect(await states()).toEqual([200, 200])
    expect((await harness.api('POST', `link/${codeOf(first)}`)).status).toBe(200)
    await waitFor(async () => (await states()).every(status => status === 410))
  })

  test('after five codes the login times out', async () => {
    const first = await start()
    let step = first
    for (let refresh = 0; refresh < 4; refresh++) {
      const waiting = wait(step)
      await clock.advance(20_000)
      step = (await waiting).body as unknown as Step
    }
    const waiting = wait(step)
    await clock.advance(20_000)
    const { status, body } = await waiting
    expect([status, body.errcode]).toEqual([400, 'FI.MAU.WHATSAPP.LOGIN_TIMEOUT'])
    expect(body.error).toContain('timed out')
    for (const shown of [first, step])
      expect((await harness.api('GET', `link/${codeOf(shown)}`)).status).toBe(410)
  })

  test('whoever stops waiting misses nothing', async () => {
    const step = await start()
    const leaving = new AbortController()
    const path = `login/step/${step.login_id}/${step.step_id}/display_and_wait`
    const left = harness.provision('POST', path, { signal: leaving.signal })
    leaving.abort()
    await left
    await clock.advance(20_000)
    expect(codeOf((await wait(step)).body as unknown as Step)).not.toBe(codeOf(step))
  })

  test('a code that nobody gave is 404, one that was used 410, as JSON and as a page', async () => {
    const step = await start()
    await harness.api('POST', `link/${codeOf(step)}`)
    expect((await harness.api('POST', `link/${codeOf(step)}`)).status).toBe(410)
    const unknown = await harness.api('POST', 'link/NOTHING')
    expect([unknown.status, unknown.json.code]).toEqual([404, 'not_found'])
    const page = await harness.api('GET', 'link/NOTHING')
    expect(page.status).toBe(404)
    expect(page.text).toContain('Not linked')
  })

  test('refuses numbers that are none or that nobody has', async () => {
    const step = await start()
    const none = await harness.api('POST', `link/${codeOf(step)}`, { phone: 'abc' })
    expect([none.status, none.json.code]).toEqual([400, 'bad_request'])
    expect(none.json.error).toContain('phone')
    expect((await harness.api('POST', `link/${codeOf(step)}`, { phone: '99912345' })).status).toBe(404)
  })

  test('signal and telegram accounts have ids of their own', async () => {
    expect(await harness.link('237123456789', 'signal')).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-8/)
    expect(await logins('signal')).toMatchObject([{ profile: { phone: '+237123456789' } }])
    expect(await harness.link('237123456789', 'telegram')).toMatch(/^\d+$/)
  })
})

describe('other ways in', () => {
  test('a pairing code is shown for a number and typed on the phone', async () => {
    const asked = await start('phone')
    expect(asked).toMatchObject({ type: 'user_input', user_input: { fields: [{ id: 'phone_number' }] } })
    const shown = (await type(asked, { phone_number: '+4477009001' }, 'wa')).body as unknown as Step
    expect(shown.display_and_wait?.data).toMatch(/^[A-Z\d]{4}-[A-Z\d]{4}$/)
    const waiting = wait(shown)
    const other = await harness.api('POST', `link/${codeOf(shown)}`, { phone: '1234567890' })
    expect(other.status).toBe(400)
    expect((await harness.api('POST', `link/${codeOf(shown).toLowerCase()}`)).json).toMatchObject({
      phone: '4477009001',
    })
    expect((await waiting).body).toMatchObject({ complete: { user_login_id: '4477009001' } })
  })

  test('telegram sends a code to the phone, and asks for the password where there is one', async () => {
    await harness.api('POST', 'api/phones', { phone: '5550001', two_factor: 'hunter2' })
    const asked = await start('phone', 'telegram')
    const code = (await type(asked, { phone_number: '5550001' }, 'telegram')).body as unknown as Step
    const [message] = await harness.messages('5550001')
    expect(message?.from).toBe('42777')
    const wrong = await type(code, { code: '1' }, 'telegram')
    expect([wrong.status, wrong.body.errcode]).toEqual([400, 'FI.MAU.TELEGRAM.INVALID_CODE'])
    const right = { code: /\d{5}/.exec(message?.text ?? '')?.[0] ?? '' }
    const password = (await type(code, right, 'telegram')).body as unknown as Step
    expect(password).toMatchObject({ type: 'user_input', user_input: { fields: [{ type: 'password' }] } })
    expect((await type(password, { password: 'hunter2' }, 'telegram')).body).toMatchObject({
      complete: { user_login_id: '15550001' },
    })
  })

  test('wrong steps, flows and processes are refused as a bridge refuses them', async () => {
    const flow = await harness.provision('POST', 'login/start/carrier-pigeon')
    expect([flow.status, flow.body.errcode]).toEqual([404, 'M_NOT_FOUND'])
    const process = await harness.provision('POST', 'login/step/nothing/qr/display_and_wait')
    expect([process.status, process.body.errcode]).toEqual([404, 'M_NOT_FOUND'])
    const step = await start()
    const path = `login/step/${step.login_id}/fi.mau.other/display_and_wait`
    const { status, body } = await harness.provision('POST', path)
    expect([status, body.errcode]).toEqual([400, 'M_BAD_STATE'])
    expect((await harness.provision('GET', 'no/such/thing')).status).toBe(404)
  })

  test('a cancelled login is gone, and so is its code', async () => {
    const step = await start()
    expect((await harness.provision('POST', `login/cancel/${step.login_id}`)).status).toBe(200)
    expect((await wait(step)).status).toBe(404)
    await waitFor(async () => (await harness.api('POST', `link/${codeOf(step)}`)).status === 410)
  })
})

describe('logins', () => {
  test('linking again keeps the one login; several phones are several', async () => {
    await harness.link('237123456789')
    await harness.link('237123456789')
    await clock.advance(1000)
    await harness.link('1234567890')
    expect((await logins()).map(login => login.id)).toEqual(['237123456789', '1234567890'])
  })

  test('another user who links the phone takes it over', async () => {
    await harness.registerUser(BOB)
    await harness.link('237123456789')
    await harness.link('237123456789', 'wa', BOB)
    expect(await logins()).toEqual([])
    expect(await logins('wa', BOB)).toHaveLength(1)
  })

  test('logging in again as another account replaces the first', async () => {
    await harness.link('237123456789')
    const again = await harness.provision('POST', 'login/start/qr?login_id=237123456789')
    await harness.api('POST', `link/${codeOf(again.body as unknown as Step)}`, { phone: '1234567890' })
    expect((await logins()).map(login => login.id)).toEqual(['1234567890'])
    expect((await harness.provision('POST', 'login/start/qr?login_id=111111')).status).toBe(404)
  })

  test('logs out one, or all', async () => {
    for (const phone of ['237123456789', '1234567890', '0987654321']) await harness.link(phone)
    expect((await harness.provision('POST', 'logout/1234567890')).status).toBe(200)
    expect((await harness.provision('POST', 'logout/1234567890')).body.errcode).toBe('M_NOT_FOUND')
    expect(await logins()).toHaveLength(2)
    expect((await harness.provision('POST', 'logout/all')).status).toBe(200)
    expect(await logins()).toEqual([])
  })
})

describe('people', () => {
  test('are resolved by number in any form, and nobody has one that begins with 999', async () => {
    expect((await harness.provision('GET', 'resolve_identifier/1234567890')).body.errcode).toBe(
      'FI.MAU.NOT_LOGGED_IN',
    )
    await harness.link()
    for (const form of ['1234567890', '+1234567890', 'tel:+1234567890', '1 234-567.890']) {
      const found = await harness.provision('GET', `resolve_identifier/${encodeURIComponent(form)}`)
      expect(found.body).toMatchObject({
        id: '1234567890',
        name: 'Jonas Weber',
        mxid: '@whatsapp_1234567890:test.example',
        identifiers: ['tel:+1234567890'],
      })
    }
    for (const unknown of ['999123456', '123', 'another_address']) {
      const { status, body } = await harness.provision('GET', `resolve_identifier/${unknown}`)
      expect([status, body.errcode]).toEqual([404, 'M_NOT_FOUND'])
    }
  })

  test('are listed from the address book and searched by name', async () => {
    await harness.link()
    const { body } = await harness.provision('GET', 'contacts')
    expect((body.contacts as Json[]).map(contact => contact.name)).toEqual([
      'Jonas Weber',
      'Kofi Mensah',
      'Priya Nair',
    ])
    const found = await harness.provision('POST', 'search_users', { body: { query: 'kofi' } })
    expect((found.body.results as Json[]).map(person => person.id)).toEqual(['2376987654321'])
  })

  test('a chat is made once, with the state of a bridged room', async () => {
    await harness.link()
    const room = await harness.room('1234567890')
    expect(await harness.room('1234567890')).toBe(room)
    expect(
      await harness.matrix('GET', `rooms/${room}/state/m.bridge/whatsapp`, undefined, USER),
    ).toMatchObject({
      bridgebot: '@whatsappbot:test.example',
      protocol: { id: 'whatsapp', displayname: 'WhatsApp' },
      channel: {
        id: '1234567890@s.whatsapp.net',
        displayname: 'Jonas Weber',
        'fi.mau.receiver': '237123456789',
      },
      'com.beeper.room_type': 'dm',
    })
    const found = await harness.provision('GET', 'resolve_identifier/1234567890')
    expect(found.body.dm_room_mxid).toBe(room)
  })
})
