/**
 * Makes Matrix users by Synapse's registration_shared_secret ("Shared-Secret Registration").
 * Passwords derive from our secret key and the user name: none is stored, and a login replaces a
 * lost access token.
 */

import { createHmac } from 'node:crypto'
import { z } from 'zod'
import type { AccountProvisioner, MatrixAccount } from '../../domain/ports.ts'
import type { Clock } from '../../lib/clock.ts'
import type { PeerAddress } from '../../lib/peer-request.ts'
import { createHttpApi, isMatrixError } from '../http-api.ts'
import { DEVICE_NAME, localpartOf, OWN_DEVICE_ID, ofServer, provisioning } from './provisioning.ts'

const nonceAnswer = z.object({ nonce: z.string() })
/** Answer to a registration and to a login. */
const loggedIn = z.object({ user_id: z.string(), device_id: z.string(), access_token: z.string().min(1) })

const ADMIN_PREFIX = '/_synapse/admin/v1'

export function createSharedSecretAccounts(options: {
  address: PeerAddress
  /** Synapse's registration_shared_secret. */
  sharedSecret: string
  /** A keyed one-way function under a key of its own. */
  passwordOf: (localpart: string) => string
  serverName: string
  clock: Clock
}): AccountProvisioner {
  const { sharedSecret, passwordOf, serverName, clock } = options
  const api = createHttpApi(options.address)

  async function register(localpart: string): Promise<MatrixAccount> {
    const endpoint = { path: '/register', prefix: ADMIN_PREFIX }
    const nonce = await api.request({ method: 'GET', ...endpoint })
    const password = passwordOf(localpart)
    const body = {
      ...signed(nonceAnswer.parse(nonce).nonce, localpart, password),
      device_id: OWN_DEVICE_ID,
      initial_device_display_name: DEVICE_NAME,
    }
    try {
      return accountFrom(await api.request({ method: 'POST', ...endpoint, body }))
    } catch (error) {
      // Asked again after a lost answer: the user is there, and ours, as the name is random.
      if (isMatrixError(error, 'M_USER_IN_USE')) return logIn(localpart, OWN_DEVICE_ID)
      throw error
    }
  }

  function signed(nonce: string, username: string, password: string) {
    const admin = false
    const mac = createHmac('sha1', sharedSecret)
      .update([nonce, username, password, 'notadmin'].join('\0'))
      .digest('hex')
    return { nonce, username, password, admin, mac }
  }

  /** A login for a device that has a token replaces it. */
  async function logIn(localpart: string, deviceId: string): Promise<MatrixAccount> {
    const body = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: localpart },
      password: passwordOf(localpart),
      device_id: deviceId,
      initial_device_display_name: DEVICE_NAME,
    }
    return accountFrom(await api.request({ method: 'POST', path: '/login', body }))
  }

  function accountFrom(answer: unknown): MatrixAccount {
    const { user_id: userId, device_id: deviceId, access_token: accessToken } = loggedIn.parse(answer)
    return { userId: ofServer(userId, serverName), deviceId, accessToken }
  }

  return {
    createAccount: localpart => provisioning(clock, 'create a user', () => register(localpart)),
    renewToken: ({ userId, deviceId }) =>
      provisioning(clock, 'log in', () => logIn(localpartOf(userId), deviceId)),
  }
}
