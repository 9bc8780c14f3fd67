/** Steps of logins: passkeys, choices, pictures, and kinds that no client knows. */
import { expect, test } from 'bun:test'
import type { TestnetPhone } from '../../../support/testnet-phone.ts'
import { waitFor } from '../../../support/wait-for.ts'
import type { SceneOf } from './scene.ts'

interface Step {
  login_id: string
  type: string
  step_id: string
  txn_id: string
  instructions: string
  display_and_wait?: { type: string; data: string; image_url?: string }
  user_input?: { fields: Record<string, unknown>[]; attachments: Record<string, unknown>[] | null }
  webauthn?: { url: string; publicKey: { challenge: string } }
  complete?: { user_login_id: string }
}

export function loginCases(scene: SceneOf): void {
  const newUser = () => `@${crypto.randomUUID()}:${scene().bridge.serverName}`

  async function start(user: string, flow: string): Promise<Step> {
    const { status, body } = await scene().bridge.post<Step>(user, `/login/start/${flow}`)
    expect(status, JSON.stringify(body)).toBe(200)
    return body
  }

  function answer(user: string, step: Step, body: Record<string, unknown> = {}) {
    const path = `/login/step/${step.login_id}/${step.step_id}/${step.type}?txn_id=${step.txn_id}`
    return scene().bridge.post<Step>(user, path, body)
  }

  /** Scans the code. @returns the step at which the phone's owner has to show a passkey */
  async function untilPasskey(user: string, phone: TestnetPhone): Promise<Step> {
    const qr = await start(user, 'qr')
    const next = answer(user, qr)
    await phone.confirm(qr.display_and_wait?.data ?? '')
    const step = (await next).body
    expect(step).toMatchObject({
      type: 'webauthn',
      webauthn: {
        url: 'https://web.testnet.example',
        publicKey: { rpId: 'web.testnet.example', allowCredentials: [{ type: 'public-key' }] },
      },
    })
    return step
  }

  test('an account with a passkey asks for it after the code was scanned', async () => {
    const [user, phone] = [newUser(), await scene().testnet.newPhone({ passkey: true })]
    const step = await untilPasskey(user, phone)
    const credential = await phone.passkey(step.webauthn?.publicKey)
    const done = await answer(user, step, credential)
    expect(done.body).toMatchObject({ type: 'complete', complete: { user_login_id: phone.id } })
    await waitFor(async () => (await phone.device())?.attached)
    expect((await scene().bridge.get(user, '/logins')).body).toEqual({ login_ids: [phone.id] })
  })

  test('a passkey for another challenge ends the login, and its device is unlinked', async () => {
    const [user, phone] = [newUser(), await scene().testnet.newPhone({ passkey: true })]
    const step = await untilPasskey(user, phone)
    const credential = await phone.passkey({ ...step.webauthn?.publicKey, challenge: 'another' })
    expect(await answer(user, step, credential)).toMatchObject({
      status: 403,
      body: { errcode: 'EXAMPLE.TESTNET.WRONG_PASSKEY' },
    })
    expect(await phone.device()).toBeNull()
  })

  test('a repeated answer gets the same next step', async () => {
    const [user, phone] = [newUser(), await scene().testnet.newPhone()]
    const first = await start(user, 'phone')
    const second = await answer(user, first, { phone_number: `+${phone.number}` })
    expect(second.body).toMatchObject({ user_input: { fields: [{ id: 'code' }] } })
    const repeated = await answer(user, first, { phone_number: `+${phone.number}` })
    expect(repeated.body).toEqual(second.body)
  })

  test('a choice, with a field that may be left out and a picture', async () => {
    const [user, phone] = [newUser(), await scene().testnet.newPhone()]
    const choice = await start(user, 'choose')
    expect(choice.user_input).toMatchObject({
      fields: [
        { id: 'method', type: 'select', options: ['Pairing code', 'Phone number', 'QR code'] },
        { id: 'captcha', type: 'captcha_code', optional: true, max_length: 8 },
      ],
      attachments: [{ type: 'm.image', filename: 'captcha.png', info: { mimetype: 'image/png', w: 120 } }],
    })
    const [picture] = choice.user_input?.attachments ?? []
    expect(Buffer.from(String(picture?.content), 'base64').subarray(1, 4).toString()).toBe('PNG')
    const qr = (await answer(user, choice, { method: 'QR code' })).body
    expect(qr).toMatchObject({ type: 'display_and_wait', display_and_wait: { type: 'qr' } })
    const done = answer(user, qr)
    await phone.confirm(qr.display_and_wait?.data ?? '')
    expect((await done).body).toMatchObject({ type: 'complete' })
  })

  test('an emoji to pick, as a picture too', async () => {
    const [user, phone] = [newUser(), await scene().testnet.newPhone()]
    const emoji = (await answer(user, await start(user, 'emoji'), { phone_number: `+${phone.number}` })).body
    expect(emoji.display_and_wait).toMatchObject({
      type: 'emoji',
      image_url: expect.stringMatching(/^https:\/\/testnet\.example\/emoji\/[0-9a-f]+\.png$/),
    })
    const done = answer(user, emoji)
    await phone.confirm(emoji.display_and_wait?.data ?? '')
    expect((await done).body).toMatchObject({ type: 'complete' })
  })

  test('a step of a kind that no client knows, with instructions', async () => {
    const user = newUser()
    const step = await start(user, 'novel')
    expect(step).toMatchObject({
      type: 'hologram',
      instructions: 'Hold the hologram in front of your phone',
      hologram: { fields: [] },
    })
    expect(step.user_input).toBeUndefined()
    expect((await answer(user, step)).body).toMatchObject({ errcode: 'M_UNRECOGNIZED' })
    expect((await scene().bridge.post(user, `/login/cancel/${step.login_id}`)).status).toBe(200)
  })
}
