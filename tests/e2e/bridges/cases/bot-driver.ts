/** Without the provisioning API the gateway sends the bridge's bot commands; our API stays. */
import { expect, test } from 'bun:test'
import { bytesOf } from '../../../support/files.ts'
import { formWith } from '../../../support/gateway-client.ts'
import { watchSocket } from '../../../support/socket-watcher.ts'
import { bytesOfMessage } from '../../../support/testnet-phone.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { linkedUser, type SettingOf } from './setting.ts'

/** Webhooks report a device's change within this time, in milliseconds. */
const NOTICE_MS = 5_000

export function botDriverCases(setting: SettingOf, platform: string): void {
  const newUser = () => linkedUser(setting(), {}, platform)

  test('a phone that scans is linked, messages and files go both ways', async () => {
    await using user = await newUser()
    expect(await user.account.devices()).toMatchObject([
      { platform, device_id: user.phone.number, state: 'connected' },
    ])
    const friend = await setting().testnet.newPhone()
    const [accepted] = await user.account.send(user.device, { platform, contact: friend.number, text: 'out' })
    await friend.waitForText('out')
    await user.account.waitForStatus(accepted?.id ?? '', ['delivered'])
    await friend.send({ to: user.phone.id, text: 'in' })
    expect(await user.inbox.next()).toMatchObject({ platform, message: 'in', device_id: user.device })
    const content = bytesOf(20_000)
    const fields = { platform, contact: friend.number, text: 'a file' }
    await user.account.send(user.device, formWith(fields, { name: 'data.bin', content }))
    expect(bytesOfMessage(await friend.waitForText('a file')).equals(content)).toBe(true)
  })

  test('whose number a hidden id has, which no command tells, is read in the profile', async () => {
    await using user = await newUser()
    const friend = await setting().testnet.newPhone({ lid: true })
    await friend.send({ to: user.phone.id, text: 'hello' })
    const { from, sender } = await user.inbox.next()
    expect(from).toContain(`lid-${friend.lid}`)
    expect(sender.phone).toBe(friend.number)
    const contact = `${from},${friend.number}`
    expect(await user.account.send(user.device, { platform, contact, text: 'once' })).toHaveLength(1)
  })

  test('a QR code that nobody scans is replaced, and at last the link times out', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    await testnet.change({ qr_count: 2, qr_interval_ms: 2_000 })
    try {
      await using socket = watchSocket(await account.addDevice(platform))
      expect(await socket.waitForText(1)).not.toBe(await socket.waitForText(0))
      expect((await socket.closed).code).toBe(4408)
    } finally {
      await testnet.change({ qr_count: 6, qr_interval_ms: 20_000 })
    }
    expect(await account.devices()).toEqual([])
  })

  test('number, code and password, asked for one after the other', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone({ password: 'correct horse' })
    const answer = await account.api.post('/api/v1/devices', {
      platform,
      flow: 'phone',
      inputs: { phone_number: phone.number, code: phone.loginCode, password: 'correct horse' },
    })
    expect(answer).toMatchObject({ status: 201, body: { link: { state: 'connected' } } })
    expect(await account.untilConnected(phone.number)).toHaveLength(1)
  })

  test('a group by its invite link, and somebody whom nobody knows', async () => {
    const { testnet } = setting()
    await using user = await newUser()
    const friend = await testnet.newPhone()
    const group = await testnet.newGroup('Choir', friend)
    for (const text of ['one', 'two'])
      await user.account.send(user.device, { platform, group_url: group.invite_link, text })
    await friend.waitForText('two')
    expect(await friend.receivedTexts()).toEqual(['one', 'two'])
    const contact = '4915299999999'
    const [unknown] = await user.account.send(user.device, { platform, contact, text: 'anybody?' })
    const { reason } = await user.account.waitForStatus(unknown?.id ?? '', ['failed'])
    expect(reason).toContain(`${contact} isn't on ${platform}`)
  })

  test('logged out at the phone is told, and DELETE logs out at the bridge', async () => {
    await using user = await newUser()
    await user.phone.setConnection({ state: 'logged_out' })
    await waitFor(async () => (await user.account.devices())[0]?.state === 'logged_out', {
      what: 'the device to be logged out',
      deadlineMs: NOTICE_MS,
    })
    await using other = await newUser()
    const gone = await other.account.api.delete('/api/v1/devices', { device_id: other.device, platform })
    expect(gone.status).toBe(200)
    expect(await other.phone.device()).toBeNull()
    expect(await other.account.devices()).toEqual([])
  })
}
