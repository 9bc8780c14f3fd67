/** Makes Matrix users by the application service (application service API, "Server admin style permissions"). */
import { MatrixError, Method } from 'matrix-js-sdk/lib/http-api/index.js'
import { z } from 'zod'
import type { AccountProvisioner } from '../domain/ports.ts'
import { asGatewayError, createHttpApi, type HomeserverAddress } from './http-api.ts'

const registered = z.object({ user_id: z.string() })

/** The device id of users that the application service speaks for: they have no device of their own. */
const APPSERVICE_DEVICE_ID = 'MESHGATE'

export function createAppserviceAccounts(
  address: HomeserverAddress,
  asToken: string,
  serverName: string,
): AccountProvisioner {
  const api = createHttpApi(address, asToken)
  return {
    async createAccount(localpart) {
      const body = { type: 'm.login.application_service', username: localpart, inhibit_login: true }
      try {
        const answer = await api.authedRequest<unknown>(Method.Post, '/register', undefined, body)
        return { userId: registered.parse(answer).user_id, deviceId: APPSERVICE_DEVICE_ID, accessToken: null }
      } catch (error) {
        // Asked again after a lost answer: the user is there, and ours, as the name is random.
        if (error instanceof MatrixError && error.errcode === 'M_USER_IN_USE') {
          return { userId: `@${localpart}:${serverName}`, deviceId: APPSERVICE_DEVICE_ID, accessToken: null }
        }
        throw asGatewayError(error, 'create a user')
      }
    },
  }
}
