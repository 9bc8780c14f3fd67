/** Login flows other than QR codes, over HTTP or the socket, with right and wrong answers. */
import { expect, test } from 'bun:test'
import type { LinkView } from '../../../../src/domain/views/link.ts'
import type { Account } from '../../../support/gateway-client.ts'
import type { Answer } from '../../../support/json-client.ts'
import type { SocketWatcher } from '../../../support/socket-watcher.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { PLATFORM, type SettingOf } from './setting.ts'

export function loginFlowCases(setting: SettingOf): void {
  test('pairing code: the number is answered by a code to type in on that phone', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const link = await begin(account, 'code')
    expect(link).toMatchObject({ state: 'waiting_for_input', step: { fields: [{ id: 'phone_number' }] } })
    const { step, state } = await answer(account, link, { phone_number: `+${phone.number}` })
    expect(state).toBe('waiting_for_code')
    await phone.confirm(step.type === 'code' ? step.code : '')
    await untilConnected(account, link, phone.number)
  })

  test('pairing code at once, with the number in the first call', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const link = await begin(account, 'code', { phone_number: phone.number })
    expect(link.state).toBe('waiting_for_code')
    await phone.confirm(link.step.type === 'code' ? link.step.code : '')
    await untilConnected(account, link, phone.number)
  })

  test('number, code and password over the socket, where a wrong code can be corrected', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone({ password: 'correct horse' })
    await begin(account, 'phone')
    await using socket = account.watchLink('json')
    expect(await frame(socket, 0)).toMatchObject({ type: 'input', fields: [{ id: 'phone_number' }] })
    socket.send({ type: 'input', fields: { phone_number: phone.number } })
    expect(await frame(socket, 1)).toMatchObject({ type: 'input', fields: [{ id: 'code' }] })
    socket.send({ type: 'input', fields: { code: '000' } })
    expect(await frame(socket, 2)).toMatchObject({
      type: 'input',
      fields: [{ id: 'code' }],
      instructions: expect.stringContaining('not right'),
    })
    socket.send({ type: 'input', fields: { code: phone.loginCode } })
    expect(await frame(socket, 3)).toMatchObject({ type: 'input', fields: [{ id: 'password' }] })
    socket.send({ type: 'input', fields: { password: 'correct horse' } })
    expect(await frame(socket, 4)).toMatchObject({ type: 'connected', device_id: phone.number })
    expect(await socket.closed).toEqual({ code: 1000, reason: `connected: ${phone.number}` })
  })

  test('a wrong password ends the login, with what the bridge says, and a new one works', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone({ password: 'correct horse' })
    const inputs = { phone_number: phone.number, code: phone.loginCode }
    const link = await begin(account, 'phone', inputs)
    expect(link.step).toMatchObject({ type: 'input', fields: [{ id: 'password' }] })
    const refused = await tryAnswer(account, link, { password: 'wrong horse' })
    expect(refused.status).toBe(400)
    expect(refused.body).toMatchObject({ error: expect.stringContaining('The password is not right') })
    expect((await account.api.get<LinkView>(`/api/v1/devices/links/${link.id}`)).body.state).toBe('failed')
    const again = await begin(account, 'phone', { ...inputs, password: 'correct horse' })
    expect(again.state).toBe('connected')
  })

  test('a number that nobody has is refused, naming the field', async () => {
    const { deployment } = setting()
    const account = await deployment.client.account()
    const link = await begin(account, 'phone')
    const refused = await tryAnswer(account, link, { phone_number: '+4915299999999' })
    expect(refused.status).toBe(400)
    expect(refused.body).toMatchObject({
      error: expect.stringMatching(/^phone_number: .*Nobody on Testnet has that phone number/),
    })
  })

  test('what was not asked for, and nothing at all, are refused before the bridge sees them', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const link = await begin(account, 'phone')
    expect((await tryAnswer(account, link, { colour: 'blue' })).body).toMatchObject({
      error: expect.stringContaining('expected phone_number'),
    })
    expect((await tryAnswer(account, link, {})).body).toMatchObject({
      error: 'Missing required field: phone_number',
    })
    await answer(account, link, { phone_number: phone.number })
    expect(await answer(account, link, { code: phone.loginCode })).toMatchObject({ state: 'connected' })
  })

  test('cookies of a web login', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const link = await begin(account, 'cookies')
    expect(link.step).toMatchObject({ type: 'cookies', url: 'https://testnet.example/login' })
    expect(await answer(account, link, phone.cookies)).toMatchObject({
      state: 'connected',
      step: { device_id: phone.number },
    })
  })

  test('cookies of a web login, all in a cURL command as browsers copy it', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const link = await begin(account, 'cookies')
    expect((await tryAnswer(account, link, { cookies: 'hello' })).body).toMatchObject({
      error: expect.stringMatching(/^cookies: expected a cURL command/),
    })
    const { session, csrf } = phone.cookies
    const cookies = `curl 'https://testnet.example/' \\\n  -b 'testnet_session=${session}; testnet_csrf=${csrf}'`
    expect(await answer(account, link, { cookies })).toMatchObject({
      state: 'connected',
      step: { device_id: phone.number },
    })
  })

  test('an account with a passkey: its owner’s answer is given by the API, or over the socket', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    for (const answersBy of ['api', 'socket']) {
      const phone = await testnet.newPhone({ passkey: true })
      const link = await begin(account, 'qr')
      await using socket = account.watchLink('json')
      const { payload } = JSON.parse(await socket.waitForText(0))
      await phone.confirm(payload)
      const asked = await waitFor(
        () => socket.frames.map(text => JSON.parse(String(text))).find(({ type }) => type === 'passkey'),
        { what: 'the question for a passkey', deadlineMs: 20_000 },
      )
      expect(asked).toMatchObject({
        url: 'https://web.testnet.example',
        publicKey: { rpId: 'web.testnet.example' },
        fields: [{ id: 'credential', type: 'credential', required: true }],
      })
      expect((await tryAnswer(account, link, { credential: '{}' })).body).toMatchObject({
        error: 'credential: expected the JSON that navigator.credentials.get() gave',
      })
      const credential = JSON.stringify(await phone.passkey(asked.publicKey))
      if (answersBy === 'api') await answer(account, link, { credential })
      else socket.send({ type: 'input', fields: { credential } })
      expect(await socket.closed).toEqual({ code: 1000, reason: `connected: ${phone.number}` })
    }
  })

  test('a passkey for another question ends the link, with what the bridge says', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone({ passkey: true })
    const link = await begin(account, 'code', { phone_number: phone.number })
    await phone.confirm(link.step.type === 'code' ? link.step.code : '')
    const { step } = await waitFor(
      async () => {
        const { body } = await account.api.get<LinkView>(`/api/v1/devices/links/${link.id}`)
        return body.step.type === 'passkey' && body
      },
      { what: 'the question for a passkey', deadlineMs: 20_000 },
    )
    const publicKey = { ...(step.type === 'passkey' && step.publicKey), challenge: 'another' }
    const credential = JSON.stringify(await phone.passkey(publicKey))
    expect(await tryAnswer(account, link, { credential })).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/^credential: .*passkey.*the link has ended/i) },
    })
    expect(await account.devices()).toEqual([])
  })

  test('a choice beside a picture, and a field that may be left out', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const link = await begin(account, 'choose')
    expect(link.step).toMatchObject({
      type: 'input',
      fields: [
        { id: 'method', type: 'select', options: ['Pairing code', 'Phone number', 'QR code'] },
        { id: 'captcha', required: false },
      ],
      attachments: [{ file_name: 'captcha.png', mime_type: 'image/png' }],
    })
    const { step } = await answer(account, link, { method: 'QR code', captcha: '' })
    await phone.confirm(step.type === 'qr' ? step.payload : '')
    await untilConnected(account, link, phone.number)
  })

  test('a step of a kind that we don’t know fails with its kind and the bridge’s instructions', async () => {
    const { deployment } = setting()
    const account = await deployment.client.account()
    const refused = await account.api.post('/api/v1/devices', { platform: PLATFORM, flow: 'novel' })
    expect(refused).toMatchObject({
      status: 502,
      body: { error: expect.stringMatching(/hologram \(Hold the hologram in front of your phone\)$/) },
    })
  })

  test('a link that is cancelled can no longer be answered, and nothing is linked', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const link = await begin(account, 'phone')
    expect((await account.api.delete(`/api/v1/devices/links/${link.id}`)).status).toBe(200)
    const refused = await tryAnswer(account, link, { phone_number: phone.number })
    expect(refused.status).toBe(409)
    expect(await account.devices()).toEqual([])
  })

  test('while its network is out of reach the bridge can start no login, and says so', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    await testnet.change({ down: true })
    try {
      const startedAt = performance.now()
      const refused = await account.api.post('/api/v1/devices', { platform: PLATFORM })
      expect(performance.now() - startedAt).toBeLessThan(5_000)
      expect(refused.status).toBe(503)
      expect(refused.body).toMatchObject({ error: expect.stringContaining("can't reach its network") })
      await using socket = account.watchLink()
      expect(await socket.closed).toMatchObject({ code: 4500 })
    } finally {
      await testnet.change({ down: false })
    }
  })
}

async function begin(account: Account, flow: string, inputs?: Record<string, string>): Promise<LinkView> {
  const body = { platform: PLATFORM, flow, ...(inputs && { inputs }) }
  const answer = await account.api.post<{ link: LinkView }>('/api/v1/devices', body)
  if (answer.status !== 201) throw new Error(`no link: ${JSON.stringify(answer.body)}`)
  return answer.body.link
}

function tryAnswer(account: Account, link: LinkView, inputs: Record<string, string>): Promise<Answer> {
  return account.api.post(`/api/v1/devices/links/${link.id}`, { inputs })
}

async function answer(account: Account, link: LinkView, inputs: Record<string, string>): Promise<LinkView> {
  const { status, body } = await tryAnswer(account, link, inputs)
  if (status !== 200) throw new Error(`not taken: ${JSON.stringify(body)}`)
  return body as LinkView
}

async function untilConnected(account: Account, link: LinkView, device: string): Promise<void> {
  await waitFor(
    async () =>
      (await account.api.get<LinkView>(`/api/v1/devices/links/${link.id}`)).body.state === 'connected',
    { what: 'the link to be connected', deadlineMs: 20_000 },
  )
  expect(await account.untilConnected(device)).toHaveLength(1)
}

async function frame(socket: SocketWatcher, index: number): Promise<unknown> {
  return JSON.parse(await socket.waitForText(index))
}
