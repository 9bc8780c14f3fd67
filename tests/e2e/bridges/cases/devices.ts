/** API and webhooks show a device's state within five seconds of a change. */
import { expect, test } from 'bun:test'
import type { DeviceEvent, MessagePayload } from '../../../../src/domain/events.ts'
import type { DeviceView } from '../../../../src/domain/views/device.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { type LinkedUser, link, linkedUser, PLATFORM, type SettingOf } from './setting.ts'

/** Webhooks report a change within this time, in milliseconds. */
const NOTICE_MS = 5_000
/** The gateway gives a bridge that reports no states this long to load its logins. */
const SETTLED_MS = 10_000

export function deviceCases(setting: SettingOf): void {
  test('its connection goes and comes back: state, reason and events follow, and messages wait', async () => {
    await using user = await linkedUser(setting())
    await using events = await deviceEvents(user)
    const friend = await setting().testnet.newPhone()
    await user.phone.setConnection({ state: 'disconnected', reason: 'tunnel', message: 'in a tunnel' })
    const device = await untilState(user, 'disconnected')
    expect(device.reason).toContain('in a tunnel')
    expect(await events.next()).toMatchObject({
      event: 'device.disconnected',
      platform: PLATFORM,
      device_id: user.device,
      state: 'disconnected',
      reason: expect.stringContaining('in a tunnel'),
    })
    const [accepted] = await user.account.send(user.device, { contact: friend.number, text: 'wait for me' })
    await user.phone.setConnection({ state: 'connected' })
    expect((await untilState(user, 'connected')).reason).toBeNull()
    expect(await events.next()).toMatchObject({ event: 'device.connected', state: 'connected' })
    await friend.waitForText('wait for me')
    await user.account.waitForStatus(accepted?.id ?? '', ['delivered'])
    expect(await friend.receivedTexts()).toEqual(['wait for me'])
  })

  test('an error that needs a person is one, with its reason', async () => {
    await using user = await linkedUser(setting())
    await using events = await deviceEvents(user)
    await user.phone.setConnection({ state: 'error', reason: 'odd', message: 'something is odd' })
    expect((await untilState(user, 'error')).reason).toContain('something is odd')
    expect(await events.next()).toMatchObject({ event: 'device.disconnected', state: 'error' })
    await user.phone.setConnection({ state: 'connected' })
    await untilState(user, 'connected')
  })

  test('logged out at the phone: told, refused, and after linking it again its chats go on', async () => {
    await using user = await linkedUser(setting())
    await using events = await deviceEvents(user)
    const friend = await setting().testnet.newPhone()
    await friend.send({ to: user.phone.id, text: 'before' })
    const { chat } = await user.inbox.next()
    await user.phone.setConnection({ state: 'logged_out' })
    await untilState(user, 'logged_out')
    expect(await events.next()).toMatchObject({ event: 'device.logged_out', device_id: user.device })
    const refused = await user.account.trySend(user.device, { contact: friend.number, text: 'nobody there' })
    expect([refused.status, refused.body.code]).toEqual([409, 'conflict'])

    expect(await link(user.account, user.phone)).toBe(user.device)
    expect(await events.next()).toMatchObject({ event: 'device.connected', device_id: user.device })
    expect(await user.account.untilConnected(user.device)).toHaveLength(1)
    await friend.send({ to: user.phone.id, text: 'after' })
    expect(await user.inbox.next()).toMatchObject({ message: 'after', chat: { id: chat.id } })
    await user.account.send(user.device, { contact: friend.number, text: 'welcome back' })
    await friend.waitForText('welcome back')
  })

  test('linking again by naming the device takes its login’s place', async () => {
    await using user = await linkedUser(setting())
    await user.phone.setConnection({ state: 'logged_out' })
    await untilState(user, 'logged_out')
    // The bridge still knows the login, so it asks for no number.
    const answer = await user.account.api.post<{ link: { id: string; step: { code: string } } }>(
      '/api/v1/devices',
      { platform: PLATFORM, flow: 'code', device_id: user.device },
    )
    expect(answer.status).toBe(201)
    await user.phone.confirm(answer.body.link.step.code)
    await untilState(user, 'connected')
    expect(await user.account.devices()).toHaveLength(1)
  })

  test('by its address it is shown, named and deleted', async () => {
    await using user = await linkedUser(setting())
    const { api } = user.account
    const path = `/api/v1/devices/${encodeURIComponent(user.device)}?platform=${PLATFORM}`
    const [listed] = await user.account.devices()
    expect((await api.get<DeviceView>(path)).body).toEqual(listed as DeviceView)
    await api.patch(path, { name: 'Support' })
    await user.phone.setConnection({ state: 'disconnected', message: 'in a tunnel' })
    await untilState(user, 'disconnected')
    expect((await api.get(path)).body).toMatchObject({ state: 'disconnected', name: 'Support' })
    await user.phone.setConnection({ state: 'connected' })
    await untilState(user, 'connected')
    expect((await api.delete(path)).status).toBe(200)
    expect((await api.get(path)).status).toBe(404)
    expect(await user.account.devices()).toEqual([])
  })

  test('DELETE logs it out at the bridge, and it can be linked anew', async () => {
    await using user = await linkedUser(setting())
    const gone = await user.account.api.delete('/api/v1/devices', {
      device_id: user.device,
      platform: PLATFORM,
    })
    expect(gone.status).toBe(200)
    expect(await user.account.devices()).toEqual([])
    expect(await user.phone.device()).toBeNull()
    const refused = await user.account.trySend(user.device, { contact: '4915200000', text: 'gone' })
    expect(refused.status).toBe(404)
    await link(user.account, user.phone)
    expect(await user.account.untilConnected(user.device)).toHaveLength(1)
    const friend = await setting().testnet.newPhone()
    await friend.send({ to: user.phone.id, text: 'there again' })
    expect(await user.inbox.next()).toMatchObject({ message: 'there again' })
  })

  test('one of two devices of a token goes, the other stays', async () => {
    await using user = await linkedUser(setting())
    const second = await setting().testnet.newPhone()
    const secondDevice = await link(user.account, second)
    await second.setConnection({ state: 'logged_out' })
    await waitFor(async () => (await stateOf(user, secondDevice))?.state === 'logged_out', {
      what: 'the second device to be logged out',
      deadlineMs: NOTICE_MS,
    })
    expect((await stateOf(user, user.device))?.state).toBe('connected')
    const friend = await setting().testnet.newPhone()
    await user.account.send(user.device, { contact: friend.number, text: 'the first is here' })
    await friend.waitForText('the first is here')
  })

  test('without its bridge it is disconnected, and connected with it again', async () => {
    const bridge = setting().deployment.bridge(PLATFORM)
    await using user = await linkedUser(setting())
    await using events = await deviceEvents(user)
    await bridge.kill()
    expect((await untilState(user, 'disconnected')).reason).toContain("can't be reached")
    await bridge.start()
    await untilState(user, 'connected', SETTLED_MS + NOTICE_MS)
    expect([(await events.next()).event, (await events.next()).event]).toEqual([
      'device.disconnected',
      'device.connected',
    ])
  })

  test('a network that is out of reach takes the connection of all devices', async () => {
    const { testnet } = setting()
    await using one = await linkedUser(setting())
    await using other = await linkedUser(setting())
    await testnet.change({ down: true })
    try {
      for (const user of [one, other])
        expect((await untilState(user, 'disconnected')).reason).toContain("can't be reached")
    } finally {
      await testnet.change({ down: false })
    }
    for (const user of [one, other]) await untilState(user, 'connected')
  })

  test('a webhook gets the events that it asked for, and the default none of these', async () => {
    await using user = await linkedUser(setting())
    await using all = await InboxReader.of<MessagePayload | DeviceEvent>(user.account, [
      'device.disconnected',
      'message.received',
    ])
    const friend = await setting().testnet.newPhone()
    await user.phone.setConnection({ state: 'error', message: 'no' })
    expect(await all.next()).toMatchObject({ event: 'device.disconnected' })
    await user.phone.setConnection({ state: 'connected' })
    await untilState(user, 'connected')
    await friend.send({ to: user.phone.id, text: 'hello' })
    expect(await all.next()).toMatchObject({ event: 'message.received', message: 'hello' })
    expect(await user.inbox.next()).toMatchObject({ event: 'message.received', message: 'hello' })
  })
}

/** The device's events after `device.connected`. */
async function deviceEvents(user: LinkedUser): Promise<InboxReader<DeviceEvent>> {
  await untilState(user, 'connected')
  return InboxReader.of<DeviceEvent>(user.account, [
    'device.connected',
    'device.disconnected',
    'device.logged_out',
  ])
}

async function stateOf({ account }: LinkedUser, device: string): Promise<DeviceView | undefined> {
  return (await account.devices()).find(({ device_id }) => device_id === device)
}

async function untilState(
  user: LinkedUser,
  state: DeviceView['state'],
  deadlineMs = NOTICE_MS,
): Promise<DeviceView> {
  return waitFor(
    async () => {
      const device = await stateOf(user, user.device)
      return device?.state === state && device
    },
    { what: `${user.device} to be ${state}`, deadlineMs },
  )
}
