/** A bridge without the provisioning API: the gateway uses its bot, and API users see no change. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { LinkView } from '../../../src/domain/views/link.ts'
import type { PlatformView } from '../../../src/domain/views/platform.ts'
import { attachedGateway, type Deployment } from '../../support/attached-gateway.ts'
import { testBridge } from '../../support/bridge-program.ts'
import type { Account } from '../../support/gateway-client.ts'
import { watchSocket } from '../../support/socket-watcher.ts'
import { Testnet } from '../../support/testnet.ts'
import { waitFor } from '../../support/wait-for.ts'
import { webhookReceiver } from '../../support/webhook-receiver.ts'
import { FLOWS } from './cases/setting.ts'

setDefaultTimeout(120_000)

describe.skipIf(!testBridge)('a bridge without a provisioning API', () => {
  let deployment: Deployment
  let testnet: Testnet

  beforeAll(async () => {
    const settings = { 'provisioning.shared_secret': 'disable' }
    deployment = await attachedGateway('embedded', { wa: { program: testBridge ?? '', settings } })
    testnet = new Testnet(deployment.bridge('wa').controlUrl)
  })

  afterAll(async () => deployment?.[Symbol.asyncDispose]())

  async function begin(account: Account, flow: string, inputs?: Record<string, string>): Promise<LinkView> {
    const body = { platform: 'wa', flow, ...(inputs && { inputs }) }
    const answer = await account.api.post<{ link: LinkView; error?: string }>('/api/v1/devices', body)
    if (answer.status !== 201) throw new Error(`no link: ${answer.body.error}`)
    return answer.body.link
  }

  const answer = (account: Account, link: LinkView, inputs: Record<string, string>) =>
    account.api.post<LinkView & { error?: string }>(`/api/v1/devices/links/${link.id}`, { inputs })

  test('says which flows it has', async () => {
    const account = await deployment.client.account()
    const platform = await waitFor(
      async () => {
        const { body } = await account.api.get<PlatformView[]>('/api/v1/platforms')
        return body.find(({ driver }) => driver === 'bot')
      },
      { what: 'the platform', deadlineMs: 20_000 },
    )
    expect(platform).toMatchObject({
      platform: 'wa',
      state: 'available',
      capabilities: { contact_list: false, group_links: true, search: true, resolve: true },
    })
    expect(platform.flows.map(({ id }) => id).sort()).toEqual(FLOWS)
  })

  test('a phone is linked by QR code, which is refreshed', async () => {
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    await testnet.change({ qr_interval_ms: 1_500 })
    await using socket = watchSocket(await account.addDevice('wa'))
    const first = await socket.waitForText(0)
    const second = await socket.waitForText(1)
    expect(second).not.toBe(first)
    await testnet.change({ qr_interval_ms: 20_000 })
    await phone.confirm(second).catch(async () => phone.confirm(await socket.waitForText(2)))
    expect(await socket.closed).toEqual({ code: 1000, reason: `connected: ${phone.number}` })
    expect(await account.untilConnected(phone.number)).toHaveLength(1)
  })

  test('nobody scans the QR code', async () => {
    const account = await deployment.client.account()
    await testnet.change({ qr_count: 2, qr_interval_ms: 500 })
    await using socket = watchSocket(await account.addDevice('wa'))
    expect(await socket.closed).toEqual({ code: 4408, reason: expect.stringContaining('timed out') })
    await testnet.change({ qr_count: 6, qr_interval_ms: 20_000 })
  })

  test('pairing code, with the number in the first call', async () => {
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const link = await begin(account, 'code', { phone_number: phone.number })
    expect(link.state).toBe('waiting_for_code')
    await phone.confirm(link.step.type === 'code' ? link.step.code : '')
    await waitFor(
      async () =>
        (await account.api.get<LinkView>(`/api/v1/devices/links/${link.id}`)).body.state === 'connected',
      { what: 'the end of the link', deadlineMs: 20_000 },
    )
  })

  test('number, code and password, a wrong code in between', async () => {
    const account = await deployment.client.account()
    const phone = await testnet.newPhone({ password: 'correct horse' })
    const link = await begin(account, 'phone')
    expect(link.step).toMatchObject({ fields: [{ id: 'phone_number', type: 'phone_number' }] })
    const wrongNumber = await answer(account, link, { phone_number: 'not a number' })
    expect(wrongNumber).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/^phone_number: .*Invalid value.*the link goes on/) },
    })
    const asksCode = await answer(account, link, { phone_number: phone.number })
    expect(asksCode.body.step).toMatchObject({ type: 'input', fields: [{ type: '2fa_code' }] })
    const again = await answer(account, link, { '2fa_code': '000' })
    expect(again.body.step).toMatchObject({
      fields: [{ type: '2fa_code' }],
      instructions: expect.stringContaining('not right'),
    })
    const asksPassword = await answer(account, link, { '2fa_code': phone.loginCode })
    expect(asksPassword.body.step).toMatchObject({ fields: [{ id: 'password', type: 'password' }] })
    const connected = await answer(account, link, { password: 'correct horse' })
    expect(connected.body).toMatchObject({ state: 'connected', step: { device_id: phone.number } })
  })

  test('a wrong password ends the login, with what the bot says', async () => {
    const account = await deployment.client.account()
    const phone = await testnet.newPhone({ password: 'correct horse' })
    const link = await begin(account, 'phone', {
      phone_number: phone.number,
      '2fa_code': phone.loginCode,
    })
    const refused = await answer(account, link, { password: 'wrong horse' })
    expect(refused).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/The password is not right.*the link has ended/) },
    })
    expect(await account.devices()).toEqual([])
  })

  test('cookies of a web login', async () => {
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const link = await begin(account, 'cookies')
    expect(link.step).toMatchObject({ type: 'cookies', url: 'https://testnet.example/login' })
    const connected = await answer(account, link, { cookies: JSON.stringify(phone.cookies) })
    expect(connected.body).toMatchObject({ state: 'connected', step: { device_id: phone.number } })
  })

  test('an account with a passkey is asked for it', async () => {
    const account = await deployment.client.account()
    const phone = await testnet.newPhone({ passkey: true })
    const link = await begin(account, 'code', { phone_number: phone.number })
    await phone.confirm(link.step.type === 'code' ? link.step.code : '')
    const step = await waitFor(
      async () => {
        const { body } = await account.api.get<LinkView>(`/api/v1/devices/links/${link.id}`)
        return body.step.type === 'passkey' && body.step
      },
      { what: 'the question for a passkey', deadlineMs: 20_000 },
    )
    expect(step).toMatchObject({
      url: 'https://web.testnet.example',
      publicKey: { rpId: 'web.testnet.example', allowCredentials: [{ type: 'public-key' }] },
      fields: [{ id: 'credential', type: 'credential' }],
    })
    const credential = JSON.stringify(await phone.passkey(step.publicKey), null, 2)
    const connected = await answer(account, link, { credential })
    expect(connected.body).toMatchObject({ state: 'connected', step: { device_id: phone.number } })
  })

  test('a choice beside a picture, and a question that may be left out', async () => {
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const link = await begin(account, 'choose')
    expect(link.step).toMatchObject({
      type: 'input',
      fields: [{ id: 'method', type: 'select', options: ['Pairing code', 'Phone number', 'QR code'] }],
      attachments: [{ file_name: 'captcha.png', mime_type: 'image/png' }],
      instructions: 'Choose how to log in',
    })
    const [picture] = link.step.type === 'input' ? link.step.attachments : []
    expect(
      Buffer.from(picture?.content ?? '', 'base64')
        .subarray(1, 4)
        .toString(),
    ).toBe('PNG')
    const next = await answer(account, link, { method: 'QR code' })
    expect(next.body.step).toMatchObject({
      fields: [{ id: 'letters_in_the_picture', required: false, description: '' }],
      attachments: [],
    })
    const { body } = await answer(account, link, {})
    await phone.confirm(body.step.type === 'qr' ? body.step.payload : '')
    await waitFor(async () => (await account.devices()).length === 1, { what: 'the device' })
  })

  test('a step that the bot itself can’t lead through ends the login, with its instructions', async () => {
    const account = await deployment.client.account()
    const refused = await account.api.post('/api/v1/devices', { platform: 'wa', flow: 'novel' })
    expect(refused).toMatchObject({
      status: 502,
      body: {
        error: expect.stringMatching(/bridge's bot: .* \(Hold the hologram in front of your phone\)$/),
      },
    })
    // The next login isn't kept from beginning.
    expect((await begin(account, 'phone')).state).toBe('waiting_for_input')
  })

  test('a login that nobody goes on with makes room for another', async () => {
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const first = await begin(account, 'phone')
    const second = await begin(account, 'phone', {
      phone_number: phone.number,
      '2fa_code': phone.loginCode,
    })
    expect(second.state).toBe('connected')
    const { body } = await account.api.get<LinkView>(`/api/v1/devices/links/${first.id}`)
    expect(body.state).toBe('superseded')
  })

  test('a flow that there is none of', async () => {
    const account = await deployment.client.account()
    const refused = await account.api.post('/api/v1/devices', { platform: 'wa', flow: 'fax' })
    expect(refused).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('"fax" is unknown') },
    })
  })

  test('the network is out of reach', async () => {
    const account = await deployment.client.account()
    await testnet.change({ down: true })
    try {
      const refused = await account.api.post('/api/v1/devices', { platform: 'wa' })
      expect(refused).toMatchObject({
        status: 503,
        body: { error: expect.stringContaining("can't start a login") },
      })
    } finally {
      await testnet.change({ down: false })
    }
  })

  test('messages go both ways, to people and to a group joined by its link', async () => {
    const { account, phone } = await linked()
    await using receiver = webhookReceiver()
    await account.addWebhook(receiver.url)
    const [ann, ben] = [await testnet.newPhone({ name: 'Ann' }), await testnet.newPhone()]
    const sent = await account.send(phone.number, { contact: ann.number, text: 'hello Ann' })
    await ann.waitForText('hello Ann')
    await account.waitForStatus(sent[0]?.id ?? '', ['sent', 'delivered', 'read'])
    await ann.send({ to: phone.number, text: 'hello yourself' })
    const [received] = await receiver.waitForCount(1)
    expect(received?.json).toMatchObject({ message: 'hello yourself', device_id: phone.number })
    const group = await testnet.newGroup('Friends', ben)
    await account.send(phone.number, { group_url: group.invite_link, text: 'hello all' })
    await ben.waitForText('hello all')
    const groups = await account.api.get<{ id: string; name: string }[]>(
      `/api/v1/devices/${phone.number}/groups`,
    )
    expect(groups.body).toMatchObject([{ id: group.id, name: 'Friends' }])
    await account.send(phone.number, { group_url: group.id, text: 'by its id' })
    await ben.waitForText('by its id')
  })

  test('whether a number exists, and what cannot be told', async () => {
    const { account, phone } = await linked()
    const ann = await testnet.newPhone({ name: 'Ann' })
    const contacts = `/api/v1/devices/${phone.number}/contacts`
    expect((await account.api.get(`${contacts}/${ann.number}`)).body).toMatchObject({
      exists: true,
      id: ann.number,
      name: expect.stringContaining('Ann'),
      matrix_id: expect.stringContaining(ann.number),
    })
    expect((await account.api.get(`${contacts}/4915299999999`)).body).toMatchObject({
      exists: false,
      id: null,
    })
    expect((await account.api.get(contacts)).status).toBe(501)
    expect((await account.api.get(`${contacts}?query=Ann`)).body).toContainEqual(
      expect.objectContaining({ id: ann.number, name: expect.stringContaining('Ann') }),
    )
  })

  test('a deleted device is logged out at the bridge', async () => {
    const { account, phone } = await linked()
    const gone = await account.api.delete('/api/v1/devices', { device_id: phone.number, platform: 'wa' })
    expect(gone.status).toBe(200)
    expect(await account.devices()).toEqual([])
  })

  async function linked() {
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const link = await begin(account, 'phone', {
      phone_number: phone.number,
      '2fa_code': phone.loginCode,
    })
    expect(link.state).toBe('connected')
    return { account, phone }
  }
})
