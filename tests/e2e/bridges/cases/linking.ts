/** Linking a phone: the codes, every end, and the devices afterwards. */
import { expect, test } from 'bun:test'
import type { LinkUpdatedEvent } from '../../../../src/domain/views/event.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import { watchSocket } from '../../../support/socket-watcher.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { link, PLATFORM, type SettingOf } from './setting.ts'

export function linkingCases(setting: SettingOf): void {
  test('by QR code: the phone that scans it is a connected device', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone({ name: 'Ada' })
    expect(await link(account, phone)).toBe(phone.number)
    expect(structuredClone(await account.devices())).toEqual([
      {
        id: expect.any(String),
        platform: PLATFORM,
        device_id: phone.number,
        state: 'connected',
        reason: null,
        since: expect.any(String),
        name: 'Ada',
        phone: phone.number,
        linked_at: expect.any(String),
        restricted: null,
      },
    ])
    expect(await phone.device()).toMatchObject({ attached: true })
  })

  test('by a QR code that was fetched: once it is scanned there is none', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    const { body } = await account.api.post<{ link: { id: string } }>('/api/v1/devices', {
      platform: PLATFORM,
    })
    const path = `/api/v1/devices/links/${body.link.id}/qr?format=txt`
    await phone.confirm((await account.api.get<string>(path)).body)
    await waitFor(async () => (await account.devices()).length === 1, { what: 'the device' })
    const ended = async () => {
      const answer = await account.api.get<{ state: string }>(path)
      return answer.body.state === 'connected' ? answer : undefined
    }
    const refused = await waitFor(ended, { what: 'the end of the link' })
    expect(refused).toMatchObject({ status: 409, body: { code: 'conflict', state: 'connected' } })
  })

  test('each state is told to whoever names that, without the code', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    await using told = await InboxReader.of<LinkUpdatedEvent>(account, ['link.updated'])
    await link(account, phone)
    const events = await told.take(2)
    expect(events.map(({ platform, state }) => [platform, state])).toEqual([
      [PLATFORM, 'waiting_for_scan'],
      [PLATFORM, 'connected'],
    ])
    expect(new Set(events.map(({ id }) => id)).size).toBe(1)
    expect(JSON.stringify(events)).not.toContain('testnet-link')
  })

  test('a QR code that nobody scans is replaced by another, which works', async () => {
    const { deployment, testnet } = setting()
    await using _ = await withQrCodes(setting, { qr_count: 10, qr_interval_ms: 1_500 })
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    await using socket = watchSocket(await account.addDevice(PLATFORM))
    const first = await socket.waitForText(0)
    const second = await socket.waitForText(1)
    expect(second).not.toBe(first)
    expect(phone.confirm(first)).rejects.toThrow('no pairing shows the code')
    await phone.confirm(second)
    expect(await socket.closed).toEqual({ code: 1000, reason: `connected: ${phone.number}` })
  })

  test('nobody scans at all: the socket says that it timed out, and nothing is linked', async () => {
    const { deployment } = setting()
    await using _ = await withQrCodes(setting, { qr_count: 2, qr_interval_ms: 300 })
    const account = await deployment.client.account()
    await using socket = watchSocket(await account.addDevice(PLATFORM))
    const { code, reason } = await socket.closed
    expect({ code, reason }).toMatchObject({ code: 4408, reason: expect.stringContaining('timed out') })
    expect(await account.devices()).toEqual([])
  })

  test('refused on the phone: the socket says so', async () => {
    const { deployment, testnet } = setting()
    const account = await deployment.client.account()
    const phone = await testnet.newPhone()
    await using socket = watchSocket(await account.addDevice(PLATFORM))
    await phone.deny(await socket.waitForText(0))
    const { code, reason } = await socket.closed
    expect({ code, reason }).toMatchObject({
      code: 4500,
      reason: expect.stringContaining('refused on the phone'),
    })
  })
}

/** Makes QR codes follow each other faster during a test. */
async function withQrCodes(
  setting: SettingOf,
  codes: { qr_count: number; qr_interval_ms: number },
): Promise<AsyncDisposable> {
  const { testnet } = setting()
  await testnet.change(codes)
  return {
    [Symbol.asyncDispose]: () => testnet.change({ qr_count: 6, qr_interval_ms: 20_000 }),
  }
}
