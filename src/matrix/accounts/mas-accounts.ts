/**
 * Makes Matrix users at a Matrix Authentication Service: a user and a personal session, whose
 * access token the homeserver takes. Such a token doesn't expire; a revoked one is replaced by a
 * new session.
 */
import { z } from 'zod'
import { GatewayError } from '../../domain/errors.ts'
import type { AccountProvisioner, MatrixAccount } from '../../domain/ports.ts'
import { backoffMs } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import { type MasAnswer, type MasClient, masError } from './mas-client.ts'
import { DEVICE_NAME, localpartOf, OWN_DEVICE_ID } from './provisioning.ts'

const userAnswer = z.object({
  data: z.object({
    id: z.string().min(1),
    attributes: z.object({ locked_at: z.string().nullish(), deactivated_at: z.string().nullish() }),
  }),
})
const sessionAnswer = z.object({
  data: z.object({ attributes: z.object({ access_token: z.string().min(1) }) }),
})

/** The service tells the homeserver of a new user later: a session is tried for this many ms. */
const PROVISIONING_PATIENCE_MS = 10_000
/** Device ids that the service accepts in a scope. */
const MIN_DEVICE_ID_LENGTH = 10
const RETRY = { baseMs: 100, capMs: 1_000 }

export function createMasAccounts(options: {
  mas: MasClient
  serverName: string
  clock: Clock
}): AccountProvisioner {
  const { mas, serverName, clock } = options

  /** @returns the service's own id of the user */
  async function createUser(username: string): Promise<string> {
    const what = 'create a user'
    const answer = await mas.call(what, 'POST', '/users', { username })
    // Asked again after a lost answer: the user is there, and ours, as the name is random.
    if (answer.status === 409) return (await findUser(username)).id
    return read(userAnswer, what, answer).data.id
  }

  async function findUser(username: string): Promise<z.infer<typeof userAnswer>['data']> {
    const what = `find the user ${username}`
    const answer = await mas.call(what, 'GET', `/users/by-username/${encodeURIComponent(username)}`)
    return read(userAnswer, what, answer).data
  }

  async function openSession(actorId: string, deviceId: string): Promise<string> {
    const what = 'open a personal session'
    const answer = await mas.call(what, 'POST', '/personal-sessions', {
      actor_user_id: actorId,
      human_name: DEVICE_NAME,
      // With a device of its own: without one, Synapse can't send (element-hq/synapse issue 19606).
      scope: `urn:matrix:client:api:* urn:matrix:client:device:${deviceId}`,
    })
    return read(sessionAnswer, what, answer).data.attributes.access_token
  }

  /** Retries a 500: the homeserver may not know the user yet, so it can't make the device. */
  async function openFirstSession(actorId: string): Promise<string> {
    const deadline = clock.steady() + PROVISIONING_PATIENCE_MS
    for (let attempt = 1; ; attempt++) {
      try {
        return await openSession(actorId, OWN_DEVICE_ID)
      } catch (error) {
        const isPassing = error instanceof GatewayError && error.code === 'homeserver_unavailable'
        const waitMs = backoffMs(attempt, RETRY)
        const hasHint = error instanceof GatewayError && error.retryAfterS !== undefined
        if (!isPassing || hasHint || clock.steady() + waitMs > deadline) throw error
        await clock.sleep(waitMs)
      }
    }
  }

  return {
    async createAccount(localpart): Promise<MatrixAccount> {
      const accessToken = await openFirstSession(await createUser(localpart))
      return { userId: `@${localpart}:${serverName}`, deviceId: OWN_DEVICE_ID, accessToken }
    },

    async renewToken({ userId, deviceId }): Promise<MatrixAccount> {
      const { id, attributes } = await findUser(localpartOf(userId))
      const gone = attributes.deactivated_at ? 'deactivated' : attributes.locked_at ? 'locked' : null
      if (gone !== null)
        throw new GatewayError('homeserver_error', `the user is ${gone} in the authentication service`)
      // An application service made this account before.
      const device = deviceId.length < MIN_DEVICE_ID_LENGTH ? OWN_DEVICE_ID : deviceId
      return { userId, deviceId: device, accessToken: await openSession(id, device) }
    },
  }
}

function read<T>(schema: z.ZodType<T>, what: string, answer: MasAnswer): T {
  const parsed = schema.safeParse(answer.body)
  if (answer.status >= 300 || !parsed.success) throw masError(what, answer)
  return parsed.data
}
