/** Makes Matrix users as an application service (its API, "Server admin style permissions"). */

import { z } from 'zod'
import type { AccountProvisioner } from '../../domain/ports.ts'
import type { Clock } from '../../lib/clock.ts'
import type { PeerAddress } from '../../lib/peer-request.ts'
import { createHttpApi, isMatrixError } from '../http-api.ts'
import { ofServer, provisioning } from './provisioning.ts'

const registered = z.object({ user_id: z.string() })

/** Device id of users without a device: the application service speaks for them. */
const APPSERVICE_DEVICE_ID = 'MESHGATE'

export function createAppserviceAccounts(options: {
  address: PeerAddress
  asToken: string
  serverName: string
  clock: Clock
}): AccountProvisioner {
  const { asToken, serverName, clock } = options
  const api = createHttpApi(options.address)

  async function register(localpart: string): Promise<string> {
    const body = { type: 'm.login.application_service', username: localpart, inhibit_login: true }
    try {
      const answer = await api.request({ method: 'POST', path: '/register', body }, asToken)
      return ofServer(registered.parse(answer).user_id, serverName)
    } catch (error) {
      // Asked again after a lost answer: the user is there, and ours, as the name is random.
      if (isMatrixError(error, 'M_USER_IN_USE')) return `@${localpart}:${serverName}`
      throw error
    }
  }

  return {
    createAccount: async localpart => ({
      userId: await provisioning(clock, 'create a user', () => register(localpart)),
      deviceId: APPSERVICE_DEVICE_ID,
      accessToken: null,
    }),
  }
}
