/** Accounts by application service and by shared secret, at a homeserver that checks requests. */
import { describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { createAppserviceAccounts } from '../../../src/matrix/accounts/appservice-accounts.ts'
import { createSharedSecretAccounts } from '../../../src/matrix/accounts/shared-secret-accounts.ts'
import { homeserverStub, matrixError, type StubRequest } from '../../support/homeserver-stub.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'

const SECRET = 'the registration shared secret'
const DEVICE = 'MESHGATE-GATEWAY'
const passwordOf = (localpart: string) => `password of ${localpart}`

/** Synapse, as far as it registers by shared secret and logs in. */
class SynapseStub {
  /** Access tokens that work, by user. */
  readonly users = new Map<string, string>()
  /** Answers this instead, once it has done what it was asked. */
  loseNextAnswer = false
  refusal: Response | null = null
  readonly stub = homeserverStub(request => this.answer(request))
  private readonly nonces = new Set<string>()
  private tokens = 0

  accounts(clock = new ManualClock(), serverName = 's') {
    const { address } = this.stub
    return createSharedSecretAccounts({ address, sharedSecret: SECRET, passwordOf, serverName, clock })
  }

  private answer(request: StubRequest): Response | object {
    expect(request.token).toBeNull()
    if (this.refusal) {
      const refusal = this.refusal
      this.refusal = null
      return refusal
    }
    switch (`${request.method} ${request.path}`) {
      case 'GET /_synapse/admin/v1/register': {
        const nonce = `nonce ${this.nonces.size}`
        this.nonces.add(nonce)
        return { nonce }
      }
      case 'POST /_synapse/admin/v1/register':
        return this.register(request.body)
      case 'POST /_matrix/client/v3/login':
        return this.logIn(request.body)
      default:
        return matrixError(404, 'M_UNRECOGNIZED')
    }
  }

  private register({ nonce, username, password, admin, mac, device_id: deviceId }: Record<string, unknown>) {
    if (!this.nonces.delete(String(nonce)))
      return matrixError(400, 'M_UNKNOWN', { error: 'unrecognised nonce' })
    const signed = `${nonce}\0${username}\0${password}\0${admin ? 'admin' : 'notadmin'}`
    if (createHmac('sha1', SECRET).update(signed).digest('hex') !== mac)
      return matrixError(403, 'M_FORBIDDEN', { error: 'HMAC incorrect' })
    expect(admin).toBe(false)
    if (this.users.has(String(username))) return matrixError(400, 'M_USER_IN_USE')
    return this.tokenFor(String(username), deviceId)
  }

  private logIn({ type, identifier, password, device_id: deviceId }: Record<string, unknown>) {
    expect(type).toBe('m.login.password')
    const { type: kind, user } = identifier as { type: string; user: string }
    expect(kind).toBe('m.id.user')
    if (!this.users.has(user) || password !== passwordOf(user)) return matrixError(403, 'M_FORBIDDEN')
    return this.tokenFor(user, deviceId)
  }

  private tokenFor(user: string, deviceId: unknown): Response | object {
    const accessToken = `syt_${++this.tokens}`
    this.users.set(user, accessToken)
    if (this.loseNextAnswer) {
      this.loseNextAnswer = false
      return new Response('', { status: 502 })
    }
    return { user_id: `@${user}:s`, access_token: accessToken, device_id: deviceId }
  }
}

describe('by shared secret', () => {
  test('an account has a token and a device of its own', async () => {
    const synapse = new SynapseStub()
    expect(await synapse.accounts().createAccount('mg1')).toEqual({
      userId: '@mg1:s',
      deviceId: DEVICE,
      accessToken: 'syt_1',
    })
  })

  test('asked again after a lost answer it is the same account, with the token that counts', async () => {
    const synapse = new SynapseStub()
    const accounts = synapse.accounts()
    synapse.loseNextAnswer = true
    await expect(accounts.createAccount('mg1')).rejects.toMatchObject({ code: 'homeserver_unavailable' })
    const account = await accounts.createAccount('mg1')
    expect(account).toMatchObject({ userId: '@mg1:s', deviceId: DEVICE })
    expect(synapse.users).toEqual(new Map([['mg1', String(account.accessToken)]]))
  })

  test('a new token is for the same device', async () => {
    const synapse = new SynapseStub()
    const accounts = synapse.accounts()
    await accounts.createAccount('mg1')
    expect(await accounts.renewToken?.({ userId: '@mg1:s', deviceId: 'OLD' })).toEqual({
      userId: '@mg1:s',
      deviceId: 'OLD',
      accessToken: 'syt_2',
    })
  })

  test('what the homeserver forbids is a failure of the homeserver, not of the client that asks', async () => {
    const accounts = createSharedSecretAccounts({
      address: new SynapseStub().stub.address,
      sharedSecret: 'another secret',
      passwordOf,
      serverName: 's',
      clock: new ManualClock(),
    })
    await expect(accounts.createAccount('mg1')).rejects.toMatchObject({
      code: 'homeserver_error',
      message: expect.stringContaining('HMAC incorrect'),
    })
  })

  test('a homeserver of another name is told', async () => {
    await expect(
      new SynapseStub().accounts(undefined, 'example.com').createAccount('mg1'),
    ).rejects.toMatchObject({
      code: 'homeserver_error',
      message: 'MATRIX_SERVER_NAME is "example.com", and the homeserver\'s name is "s"',
    })
  })

  test('a short rate limit is waited for, a long one told', async () => {
    const clock = new ManualClock()
    const synapse = new SynapseStub()
    synapse.refusal = matrixError(429, 'M_LIMIT_EXCEEDED', { retry_after_ms: 2_000 })
    const account = synapse.accounts(clock).createAccount('mg1')
    await settled()
    await clock.advance(2_000)
    expect((await account).userId).toBe('@mg1:s')

    synapse.refusal = matrixError(429, 'M_LIMIT_EXCEEDED', { retry_after_ms: 20_000 })
    await expect(synapse.accounts(clock).createAccount('mg2')).rejects.toMatchObject({
      code: 'homeserver_unavailable',
      retryAfterS: 20,
    })
  })
})

describe('by the application service', () => {
  const accountsAt = (answer: (request: StubRequest) => Response | object) => {
    const { address, requests } = homeserverStub(answer)
    const clock = new ManualClock()
    return {
      requests,
      accounts: createAppserviceAccounts({ address, asToken: 'as', serverName: 's', clock }),
    }
  }

  test('an account has no token of its own', async () => {
    const { accounts, requests } = accountsAt(() => ({ user_id: '@mg1:s' }))
    expect(await accounts.createAccount('mg1')).toEqual({
      userId: '@mg1:s',
      deviceId: 'MESHGATE',
      accessToken: null,
    })
    expect(requests).toMatchObject([
      {
        token: 'as',
        path: '/_matrix/client/v3/register',
        body: { type: 'm.login.application_service', username: 'mg1', inhibit_login: true },
      },
    ])
    expect(accounts.renewToken).toBeUndefined()
  })

  test('asked again after a lost answer it is the same account', async () => {
    const { accounts } = accountsAt(() => matrixError(400, 'M_USER_IN_USE'))
    expect((await accounts.createAccount('mg1')).userId).toBe('@mg1:s')
  })

  test('a registration that does not cover our users is a failure of the homeserver', async () => {
    const { accounts } = accountsAt(() => matrixError(403, 'M_EXCLUSIVE'))
    await expect(accounts.createAccount('mg1')).rejects.toMatchObject({ code: 'homeserver_error' })
  })
})
