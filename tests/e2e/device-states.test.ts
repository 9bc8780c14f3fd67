/** API and webhooks show devices' states within seconds of a change, though nobody lists them. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { DeviceEvent } from '../../src/domain/events.ts'
import { DEVICE_EVENT_NAMES } from '../../src/domain/states.ts'
import type { Account, GatewayClient, Platform } from '../support/gateway-client.ts'
import { InboxReader } from '../support/inbox-reader.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'

setDefaultTimeout(60_000)

/** Longest time from a change at the network to its webhook, in milliseconds. */
const PROMISED_MS = 5_000

let gateway: TestGateway
let client: GatewayClient

beforeAll(async () => {
  gateway = await testGateway()
  client = gateway.client
})

afterAll(() => gateway[Symbol.asyncDispose]())

/** An account with a webhook for devices, and a phone that isn't linked yet. */
async function listener() {
  const [account, phone] = [await client.account(), await client.newPhone()]
  const inbox = await InboxReader.of<DeviceEvent>(account, DEVICE_EVENT_NAMES)
  return { account, phone, inbox }
}

/** @returns the event that `cause` triggers, if it comes in time */
async function within(inbox: InboxReader<DeviceEvent>, cause: () => Promise<unknown>): Promise<DeviceEvent> {
  const startedAt = performance.now()
  await cause()
  const event = await inbox.next()
  expect(performance.now() - startedAt).toBeLessThan(PROMISED_MS)
  return event
}

/** The only device in the list. */
async function shown(account: Account) {
  const [device] = await account.devices()
  if (!device) throw new Error('there is no device')
  return device
}

describe.each<Platform>(['wa', 'signal', 'telegram'])('on %s', platform => {
  test('linked, disconnected, back, logged out at the phone, linked again, deleted', async () => {
    const { account, phone, inbox } = await listener()
    await using _ = inbox
    const facts = { platform, device_id: phone.number, phone: phone.number, name: expect.any(String) }
    const linked = await within(inbox, () => account.link(phone.number, platform))
    expect(linked).toEqual({
      event: 'device.connected',
      timestamp: expect.any(String),
      ...facts,
      state: 'connected',
      reason: null,
      since: linked.timestamp,
      linked_at: linked.timestamp,
      restricted: null,
    })

    const away = await within(inbox, () => client.setFaults({ platform, offline: true }))
    expect(away).toMatchObject({ event: 'device.disconnected', ...facts, state: 'disconnected' })
    expect(away.reason).toContain('Disconnected from')
    expect(await shown(account)).toMatchObject({ state: 'disconnected', since: away.since })

    const back = await within(inbox, () => client.setFaults({ platform, offline: false }))
    expect(back).toMatchObject({ event: 'device.connected', ...facts, reason: null })

    const lost = await within(inbox, () => client.setFaults({ platform, logout: phone.number }))
    expect(lost).toMatchObject({ event: 'device.logged_out', ...facts, state: 'logged_out' })
    expect(lost.reason).toEqual(expect.any(String))
    expect(await shown(account)).toMatchObject({ state: 'logged_out', since: lost.since })

    const again = await within(inbox, () => account.link(phone.number, platform))
    expect(again).toMatchObject({ event: 'device.connected', ...facts })
    const device = { device_id: phone.number, platform }
    const deleted = await within(inbox, () => account.api.delete('/api/v1/devices', device))
    expect(deleted).toMatchObject({ event: 'device.logged_out', ...facts, reason: 'deleted by the API' })
    expect(inbox.unread).toBe(0)
  })
})

test('a webhook that asks for nothing special hears nothing of devices', async () => {
  const account = await client.account()
  const [phone, friend] = [await client.newPhone(), await client.newPhone()]
  await using inbox = await InboxReader.open(account)
  await using devices = await InboxReader.of<DeviceEvent>(account, ['device.connected'])
  await account.link(phone.number)
  await devices.next()
  await friend.send({ to: phone.number, text: 'hello' })
  expect(await inbox.next()).toMatchObject({ event: 'message.received', message: 'hello' })
})

test('messages that wait when a device is logged out go when it is linked again, in order', async () => {
  const { account, phone, inbox } = await listener()
  await using _ = inbox
  const friend = await client.newPhone()
  await account.link(phone.number)
  await inbox.next()
  await client.setFaults({ platform: 'wa', offline: true })
  expect((await inbox.next()).state).toBe('disconnected')
  const ids: string[] = []
  for (const text of ['one', 'two']) {
    const [message] = await account.send(phone.number, { contact: friend.number, text })
    if (message) ids.push(message.id)
  }
  await client.setFaults({ platform: 'wa', logout: phone.number })
  expect((await inbox.next()).state).toBe('logged_out')
  expect(await account.message(ids[0] ?? '')).toMatchObject({ status: 'queued' })

  await client.setFaults({ platform: 'wa', offline: false })
  await account.link(phone.number)
  await friend.waitForText('two')
  expect((await friend.received()).map(({ text }) => text)).toEqual(['one', 'two'])
})
