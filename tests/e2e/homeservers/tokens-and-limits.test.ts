/** Access tokens that a real Synapse revokes, and its rate limits. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createHmacHasher, deriveKey } from '../../../src/lib/sealing.ts'
import { InboxReader } from '../../support/inbox-reader.ts'
import { MasStub } from '../../support/mas-stub.ts'
import { type PortalDeployment, portalDeployment, SECRET_KEY } from '../../support/portal-deployment.ts'
import { hasSynapse } from '../../support/synapse.ts'
import { waitFor } from '../../support/wait-for.ts'

setDefaultTimeout(120_000)

describe.skipIf(!hasSynapse)('accounts with access tokens of their own', () => {
  let deployment: PortalDeployment

  beforeAll(async () => {
    deployment = await portalDeployment({
      source: 'sync',
      rateLimits: { rc_message: { per_second: 2, burst_count: 2 } },
      env: { LOG_LEVEL: 'info' },
    })
  })
  afterAll(() => deployment?.[Symbol.asyncDispose]())

  const devicesOf = async (userId: string) => {
    const { devices } = (await deployment.admin('GET', `/v2/users/${userId}/devices`)) as {
      devices: { device_id: string }[]
    }
    return devices.map(({ device_id: id }) => id)
  }

  test('a device that was removed at the homeserver: the token is replaced, and nothing is missed', async () => {
    const { account, userId } = await deployment.account()
    await using reader = await InboxReader.open(account)
    const portal = await deployment.bridge.portal('237101', userId)
    await portal.say('before')
    expect((await reader.next()).message).toBe('before')
    const [device] = await devicesOf(userId)
    await deployment.admin('DELETE', `/v2/users/${userId}/devices/${device}`)
    await portal.say('after')
    expect((await reader.next()).message).toBe('after')
    expect(await devicesOf(userId)).toEqual([device ?? ''])
    expect(deployment.gateway().output()).toContain('an access token was replaced')

    const [sent] = await account.send(deployment.bridge.deviceId, {
      contact: '237102',
      text: 'with the new one',
    })
    await account.waitForStatus(sent?.id ?? '', ['sent', 'delivered', 'read'])
  })

  test('an account that can not be used is told, waited for, and used again when it can be', async () => {
    const { account, userId } = await deployment.account()
    await using reader = await InboxReader.open(account)
    const portal = await deployment.bridge.portal('237103', userId)
    await portal.say('before')
    await reader.next()
    const user = `/v2/users/${userId}`
    await deployment.admin('PUT', user, { password: 'one that nobody told us', logout_devices: true })
    await portal.say('meanwhile')
    const told = await waitFor(
      async () => {
        const state = await deployment.homeserverState()
        return state !== 'ok' && state
      },
      { what: 'a failing /sync', deadlineMs: 20_000 },
    )
    expect(told).toContain(`the Matrix access token of ${userId} doesn't work`)
    expect(told).toContain('M_FORBIDDEN')
    const stateOfDevice = async () => (await account.devices())[0]
    const device = await waitFor(
      async () => {
        const found = await stateOfDevice()
        return found?.state === 'error' && found
      },
      { what: 'the device to be in error' },
    )
    expect(device.reason).toContain('M_FORBIDDEN')
    // Other accounts and the gateway go on.
    expect((await fetch(`${deployment.gateway().url}/ready`)).status).toBe(200)
    expect(deployment.gateway().output()).not.toContain('syt_')

    const localpart = userId.slice(1).replace(/:.*/, '')
    const password = createHmacHasher(deriveKey(SECRET_KEY, 'matrix-passwords'))(localpart)
    await deployment.admin('PUT', user, { password, logout_devices: false })
    expect((await reader.next()).message).toBe('meanwhile')
    await waitFor(async () => (await stateOfDevice())?.state === 'connected', {
      what: 'the device to be connected again',
      deadlineMs: 20_000,
    })
    expect(await deployment.homeserverState()).toBe('ok')
  })

  test('messages that the homeserver limits wait, and go out in order', async () => {
    const { account, userId } = await deployment.account()
    const texts = Array.from({ length: 8 }, (_, index) => `text ${index}`)
    const ids: string[] = []
    for (const text of texts) {
      const [sent] = await account.send(deployment.bridge.deviceId, { contact: '237104', text })
      ids.push(sent?.id ?? '')
    }
    for (const id of ids) await account.waitForStatus(id, ['sent', 'delivered', 'read'])
    const chat = await deployment.bridge.directChat(userId, '237104')
    expect((await chat.messages()).map(({ body }) => body)).toEqual(texts)
  })
})

test.skipIf(!hasSynapse)(
  'accounts of the Matrix Authentication Service: messages go both ways, and a revoked token is replaced by another session',
  async () => {
    await using mas = new MasStub()
    await using deployment = await portalDeployment({ source: mas })
    const { account, userId } = await deployment.account()
    await using reader = await InboxReader.open(account)
    const portal = await deployment.bridge.portal('237106', userId)
    await portal.say('hello')
    expect((await reader.next()).message).toBe('hello')

    const [{ deviceId } = { deviceId: '' }] = mas.sessions
    await deployment.admin('DELETE', `/v2/users/${userId}/devices/${deviceId}`)
    await portal.say('and again')
    expect((await reader.next()).message).toBe('and again')
    const [sent] = await account.send(deployment.bridge.deviceId, { contact: '237107', text: 'hello to you' })
    await account.waitForStatus(sent?.id ?? '', ['sent', 'delivered', 'read'])
    expect(mas.sessions.map(session => session.deviceId)).toEqual([deviceId, deviceId])
  },
)

describe.skipIf(!hasSynapse)('as an application service', () => {
  test('that the homeserver no longer knows: /ready says so, and what is sent waits until it knows us again', async () => {
    await using deployment = await portalDeployment({ source: 'appservice' })
    const { account, userId } = await deployment.account()
    const readiness = async () => {
      const answer = await fetch(`${deployment.gateway().url}/ready`)
      return { status: answer.status, text: await answer.text() }
    }
    await deployment.registerGateway('another as_token')
    const [sent] = await account.send(deployment.bridge.deviceId, { contact: '237105', text: 'wait for it' })
    const told = await waitFor(
      async () => {
        const found = await readiness()
        return found.text.includes('MATRIX_AS_TOKEN') && found
      },
      { what: 'a gateway that is not ready', deadlineMs: 60_000 },
    )
    expect(told.status).toBe(503)
    expect(told.text).toContain("the homeserver doesn't accept MATRIX_AS_TOKEN (M_UNKNOWN_TOKEN")
    expect((await account.message(sent?.id ?? '')).status).toMatch(/queued|sending/)

    await deployment.registerGateway()
    await waitFor(async () => (await readiness()).status === 200, {
      what: 'a ready gateway',
      deadlineMs: 60_000,
    })
    await waitFor(async () => (await account.message(sent?.id ?? '')).status !== 'queued', {
      what: 'the message to go out',
      deadlineMs: 90_000,
    })
    const chat = await deployment.bridge.directChat(userId, '237105')
    await waitFor(async () => (await chat.messages()).length === 1)
  })
})
