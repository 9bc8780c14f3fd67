/** An account that its network lets write to nobody new for a while, as WhatsApp does. */
import { expect, test } from 'bun:test'
import type { DeviceEvent } from '../../../../src/domain/events.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { type LinkedUser, linkedUser, PLATFORM, type SettingOf } from './setting.ts'

const HOUR_MS = 3_600_000
/** As mautrix-whatsapp tells that there is none any more. */
const ENDED = '0001-01-01T00:00:00Z'

export function restrictionCases(setting: SettingOf): void {
  /** @returns when it ends, as the API tells it */
  async function restrict(user: LinkedUser, inMs = HOUR_MS): Promise<string> {
    const until = new Date(Math.floor((Date.now() + inMs) / 1_000) * 1_000)
    await user.phone.change({ timelock_until: until.toISOString() })
    const shown = until.toISOString().replace('.000', '')
    await waitFor(async () => (await restrictionOf(user))?.until === shown)
    return shown
  }

  test('a first message waits and answers go; when it ends early, the message goes', async () => {
    await using user = await linkedUser(setting())
    await using events = await InboxReader.of<DeviceEvent>(user.account, ['device.restricted'])
    const { account, device, phone } = user
    const { testnet } = setting()
    const [friend, stranger, caller] = [
      await testnet.newPhone(),
      await testnet.newPhone(),
      await testnet.newPhone(),
    ]
    await account.send(device, { contact: friend.number, text: 'before' })
    await friend.waitForText('before')
    const until = await restrict(user)
    expect(await events.next()).toMatchObject({
      event: 'device.restricted',
      platform: PLATFORM,
      device_id: device,
      state: 'connected',
      restricted: { until, what: 'new_chats' },
    })

    const [first] = await account.send(device, { contact: stranger.number, text: 'nice to meet you' })
    await account.send(device, { contact: friend.number, text: 'to a friend' })
    await friend.waitForText('to a friend')
    await caller.send({ to: phone.id, text: 'who are you?' })
    expect((await user.inbox.next()).message).toBe('who are you?')
    await account.send(device, { contact: caller.number, text: 'an answer' })
    await caller.waitForText('an answer')
    const waits = await waitFor(async () => {
      const message = await account.message(first?.id ?? '')
      return message.reason !== null && message
    })
    expect(waits).toMatchObject({
      status: 'queued',
      reason: `restricted: the network lets the device start no new chats until ${until}`,
      due_at: until,
    })
    expect(await stranger.receivedTexts()).toEqual([])

    await phone.change({ timelock_until: ENDED })
    await stranger.waitForText('nice to meet you')
    expect(await restrictionOf(user)).toBeNull()
    expect(await events.next()).toMatchObject({ event: 'device.restricted', restricted: null })
    await account.waitForStatus(first?.id ?? '', ['delivered'])
    expect(await stranger.receivedTexts()).toEqual(['nice to meet you'])
  })

  test('a first message goes by itself when the time has come, and at once to whoever writes', async () => {
    await using user = await linkedUser(setting())
    const { testnet } = setting()
    const [stranger, writer] = [await testnet.newPhone(), await testnet.newPhone()]
    await restrict(user, 8_000)
    for (const { number } of [stranger, writer])
      await user.account.send(user.device, { contact: number, text: 'first' })
    await writer.send({ to: user.phone.id, text: 'hello' })
    await writer.waitForText('first')
    expect(await stranger.receivedTexts()).toEqual([])
    await stranger.waitForText('first')
    expect(await restrictionOf(user)).toBeNull()
  })

  test('a first message waits while the gateway is killed, and goes once', async () => {
    await using user = await linkedUser(setting())
    const { account, device, phone } = user
    const { deployment, testnet } = setting()
    const stranger = await testnet.newPhone()
    const until = await restrict(user)
    const [first] = await account.send(device, { contact: stranger.number, text: 'after the kill' })
    const waits = () =>
      waitFor(async () => {
        const { status, reason, due_at } = await account.message(first?.id ?? '')
        return status === 'queued' && reason?.startsWith('restricted: ') && due_at === until
      })
    await waits()
    await deployment.gateway.kill()
    await deployment.gateway.start()
    await waits()
    expect(await stranger.receivedTexts()).toEqual([])
    await phone.change({ timelock_until: ENDED })
    await stranger.waitForText('after the kill')
    await account.waitForStatus(first?.id ?? '', ['delivered'])
    expect(await stranger.receivedTexts()).toEqual(['after the kill'])
  })

  const restrictionOf = async ({ account, device }: LinkedUser) =>
    (await account.devices()).find(one => one.device_id === device)?.restricted
}
