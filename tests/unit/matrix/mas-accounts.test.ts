/** Accounts by the Matrix Authentication Service, at a stand-in that is as strict. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createMasAccounts } from '../../../src/matrix/accounts/mas-accounts.ts'
import { createMasClient } from '../../../src/matrix/accounts/mas-client.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { MasStub } from '../../support/mas-stub.ts'
import { SkippingClock } from '../../support/skipping-clock.ts'

let mas: MasStub
beforeEach(() => {
  mas = new MasStub()
})
afterEach(() => mas[Symbol.asyncDispose]())

function accounts(change: { clientSecret?: string; clock?: ManualClock | SkippingClock } = {}) {
  const { clock = new ManualClock(), clientSecret = mas.clientSecret } = change
  const client = createMasClient({
    url: mas.url,
    adminUrl: mas.url,
    clientId: mas.clientId,
    clientSecret,
    clock,
  })
  return createMasAccounts({ mas: client, serverName: 's', clock })
}

test('an account is a user with a personal session, whose token does not expire', async () => {
  const account = await accounts().createAccount('mg1')
  const [session] = mas.sessions
  expect(session).toMatchObject({ username: 'mg1', deviceId: 'MESHGATE-GATEWAY' })
  expect(account).toEqual({
    userId: '@mg1:s',
    deviceId: 'MESHGATE-GATEWAY',
    accessToken: session?.accessToken ?? '',
  })
  expect(mas.calls).toEqual(['grant', 'POST /users', 'POST /personal-sessions'])
})

describe('the token of the service', () => {
  test('is asked for once as long as it lasts, and again in time', async () => {
    const clock = new ManualClock()
    const service = accounts({ clock })
    await Promise.all([service.createAccount('mg1'), service.createAccount('mg2')])
    await clock.advance(269_000)
    await service.createAccount('mg3')
    expect(mas.calls.filter(call => call === 'grant')).toHaveLength(1)
    await clock.advance(2_000)
    await service.createAccount('mg4')
    expect(mas.calls.filter(call => call === 'grant')).toHaveLength(2)
  })

  test('that was revoked is replaced, and the call repeated', async () => {
    const service = accounts()
    await service.createAccount('mg1')
    mas.revokeGrants()
    expect((await service.createAccount('mg2')).userId).toBe('@mg2:s')
    expect(mas.calls.filter(call => call === 'grant')).toHaveLength(2)
  })

  test('that is refused is told with the reason', async () => {
    await expect(accounts({ clientSecret: 'wrong' }).createAccount('mg1')).rejects.toMatchObject({
      code: 'homeserver_error',
      message:
        'the authentication service refused to grant urn:mas:admin to ADMIN_CLIENT_ID (invalid_client: the description of invalid_client)',
    })
  })
})

test('asked again after a lost answer it is the same user', async () => {
  const service = accounts()
  mas.loseNextAnswer = true
  await expect(service.createAccount('mg1')).rejects.toMatchObject({ code: 'homeserver_unavailable' })
  expect((await service.createAccount('mg1')).userId).toBe('@mg1:s')
  expect([...mas.users.keys()]).toEqual(['mg1'])
})

test('a name that the homeserver has and the service has not is told', async () => {
  mas.reserved.add('mg1')
  await expect(accounts().createAccount('mg1')).rejects.toMatchObject({ code: 'homeserver_error' })
})

test('a user that the homeserver does not know yet is waited for', async () => {
  mas.provisioningTries = 3
  const clock = new SkippingClock()
  expect((await accounts({ clock }).createAccount('mg1')).accessToken).toStartWith('mpt_')
})

test('a user that the homeserver never gets to know is given up', async () => {
  mas.provisioningTries = 1_000
  const clock = new SkippingClock()
  const account = accounts({ clock }).createAccount('mg1')
  const hurry = setInterval(() => clock.skip(1_000), 5)
  await expect(account).rejects.toMatchObject({ code: 'homeserver_unavailable' })
  await account.catch(() => undefined)
  clearInterval(hurry)
})

describe('a token that was revoked', () => {
  test('is replaced by another session for the same device', async () => {
    const service = accounts()
    const { userId, deviceId, accessToken } = await service.createAccount('mg1')
    const renewed = await service.renewToken?.({ userId, deviceId })
    expect(renewed).toMatchObject({ userId, deviceId })
    expect(renewed?.accessToken).not.toBe(accessToken)
    expect(mas.sessions.map(session => session.deviceId)).toEqual([deviceId, deviceId])
  })

  test('of an account that the application service made, gets a device of the length that is needed', async () => {
    const service = accounts()
    await service.createAccount('mg1')
    expect(await service.renewToken?.({ userId: '@mg1:s', deviceId: 'MESHGATE' })).toMatchObject({
      deviceId: 'MESHGATE-GATEWAY',
    })
  })

  test.each(['lockedAt', 'deactivatedAt'] as const)('of a user with %s is not replaced', async field => {
    const service = accounts()
    await service.createAccount('mg1')
    const user = mas.users.get('mg1')
    if (user) user[field] = '2026-01-16T14:40:00Z'
    await expect(
      service.renewToken?.({ userId: '@mg1:s', deviceId: 'MESHGATE-GATEWAY' }),
    ).rejects.toMatchObject({
      code: 'homeserver_error',
      message: expect.stringMatching(/the user is (locked|deactivated) in the authentication service/),
    })
  })
})

test('a service that is away is told', async () => {
  const service = accounts()
  await mas[Symbol.asyncDispose]()
  await expect(service.createAccount('mg1')).rejects.toMatchObject({
    code: 'homeserver_unavailable',
    message: expect.stringContaining("the authentication service can't be reached"),
  })
})
