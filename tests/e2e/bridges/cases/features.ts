/** A real bridge's chat takes what its room's features say; the rest is refused, with the limit. */
import { expect, test } from 'bun:test'
import { FILES } from '../../../support/file-heads.ts'
import { bytesOf } from '../../../support/files.ts'
import { formWith } from '../../../support/gateway-client.ts'
import { bearer } from '../../../support/json-client.ts'
import type { Features, TestnetPhone } from '../../../support/testnet-phone.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { type LinkedUser, linkedUser, PLATFORM, type SettingOf } from './setting.ts'

const LIMIT = 'WhatsApp takes texts of at most 160 characters here, not 161'
const LONG = 'x'.repeat(161)

export function featureCases(setting: SettingOf): void {
  /** A friend with whom the user has a chat. */
  async function friendOf(user: LinkedUser, features: Features): Promise<TestnetPhone> {
    const friend = await setting().testnet.newPhone({ features })
    await user.account.send(user.device, { contact: friend.number, text: 'hello' })
    await friend.waitForText('hello')
    return friend
  }

  test('a known chat that takes little refuses at once, and takes the rest in the form it has', async () => {
    await using user = await linkedUser(setting())
    const friend = await friendOf(user, 'strict')
    const fields = { contact: friend.number, platform: PLATFORM }
    const send = (name: string, content: Uint8Array<ArrayBuffer>, text?: string) =>
      user.account.trySend(user.device, formWith({ ...fields, ...(text && { text }) }, { name, content }))
    expect(await user.account.trySend(user.device, { contact: friend.number, text: LONG })).toMatchObject({
      status: 422,
      body: { code: 'unsupported_by_chat', error: LIMIT, feature: 'max_text_length', limit: 160 },
    })
    expect(await send('large.pdf', Buffer.concat([FILES.pdf, bytesOf(65_536)]))).toMatchObject({
      status: 422,
      body: {
        error: 'WhatsApp takes files of at most 64 KB here',
        feature: 'max_size',
        limit: 65_536,
      },
    })
    expect(await send('view.png', FILES.png)).toMatchObject({
      status: 422,
      body: {
        error: 'WhatsApp takes no images of the type image/png here',
        feature: 'mime_types',
        limit: null,
      },
    })
    // Captions are refused on pictures, and short on files: they go as texts.
    expect((await send('view.jpg', FILES.jpeg, 'a caption')).status).toBe(200)
    expect((await send('report.pdf', FILES.pdf, 'a caption of more than 20 characters')).status).toBe(200)
    await friend.waitForText('a caption of more than 20 characters')
    const received = (await friend.messages()).map(({ type, text }) => [type, text ?? ''])
    expect(received).toEqual([
      ['text', 'hello'],
      ['image', ''],
      ['text', 'a caption'],
      ['file', ''],
      ['text', 'a caption of more than 20 characters'],
    ])
  })

  test('of several recipients the one whose chat does not take it has failed in the answer', async () => {
    await using user = await linkedUser(setting())
    const [strict, usual] = [await friendOf(user, 'strict'), await friendOf(user, 'usual')]
    const contact = `${strict.number}, ${usual.number}`
    const [failed, queued] = await user.account.send(user.device, { contact, text: LONG })
    const reason = `unsupported_by_chat: ${LIMIT}`
    expect(failed).toMatchObject({ to: strict.number, status: 'failed', reason })
    expect(queued).toMatchObject({ to: usual.number, status: 'queued' })
    await usual.waitForText(LONG)
    expect(await user.account.message(failed?.id ?? '')).toMatchObject({ status: 'failed', reason })
    expect(await strict.receivedTexts()).toEqual(['hello'])
  })

  test('a chat that is not known yet refuses at the message’s turn, with the same words', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone({ features: 'strict' })
    const [accepted] = await user.account.send(user.device, { contact: friend.number, text: LONG })
    expect(await user.account.waitForStatus(accepted?.id ?? '', ['failed'])).toMatchObject({
      reason: `unsupported_by_chat: ${LIMIT}`,
      event_id: null,
    })
    expect(await friend.receivedTexts()).toEqual([])
  })

  test('a chat that changes what it takes is believed from then on', async () => {
    await using user = await linkedUser(setting())
    const friend = await friendOf(user, 'usual')
    // The refusal isn't what the key stands for.
    const headers = {
      authorization: bearer(user.account.token),
      'content-type': 'application/json',
      'idempotency-key': crypto.randomUUID(),
    }
    const body = JSON.stringify({ platform: PLATFORM, contact: friend.number, text: LONG })
    const statusOf = async (repeats = true) => {
      const { 'idempotency-key': _key, ...once } = headers
      const url = `${user.account.address.url}/api/v1/devices/${user.device}/message`
      return (await fetch(url, { method: 'POST', headers: repeats ? headers : once, body })).status
    }
    await friend.change({ features: 'strict' })
    await waitFor(async () => (await statusOf(false)) === 422)
    expect(await statusOf()).toBe(422)
    await friend.change({ features: 'usual' })
    await waitFor(async () => (await statusOf()) === 200)
  })
}
