/**
 * The link to an external homeserver as its application service: asks whether it knows us, and has it try to reach us. After a time
 * without an answer Synapse waits up to 512 seconds before it pushes events again; a ping makes it go on at once (application service API,
 * "Application service pinging").
 */
import { z } from 'zod'
import { messageOf } from '../domain/errors.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Worker } from '../runtime/worker.ts'
import type { AccountAccess } from './account-access.ts'
import {
  accountRefusal,
  asGatewayError,
  createHttpApi,
  type HomeserverAddress,
  isMatrixError,
} from './http-api.ts'

export interface AppserviceLink {
  worker: Worker
  /** Asks the homeserver once. @returns whether events reach us */
  check(): Promise<boolean>
  /** What is wrong with the link; null when nothing is, or nobody has asked yet. */
  failure(): string | null
}

const whoami = z.object({ user_id: z.string() })

/** How often the homeserver is asked when all is well, in milliseconds: what goes wrong is noticed without any traffic. */
const INTERVAL_MS = 15_000
const RETRY = { baseMs: 500, capMs: 15_000 }

export function createAppserviceLink(options: {
  address: HomeserverAddress
  asToken: string
  /** The id of our registration. */
  appserviceId: string
  serverName: string
  /** Learns whether the as_token is accepted. */
  access: Pick<AccountAccess, 'accepted' | 'refused' | 'trouble'>
  clock: Clock
  logger: Logger
}): AppserviceLink {
  const { asToken, appserviceId, serverName, access, clock, logger } = options
  const api = createHttpApi(options.address)
  let failure: string | null = null
  let hasAsked = false

  /** @returns what is wrong, null when nothing is */
  async function problem(): Promise<string | null> {
    try {
      const answer = await api.request({ method: 'GET', path: '/account/whoami' }, asToken)
      const { user_id: us } = whoami.parse(answer)
      access.accepted(us, { accessToken: asToken, query: {} })
      if (!us.endsWith(`:${serverName}`))
        return `MATRIX_SERVER_NAME is "${serverName}", and the homeserver's name is "${us.replace(/^@[^:]*:/, '')}"`
    } catch (error) {
      const refusal = accountRefusal(error)
      if (refusal === null) return messageOf(asGatewayError(error, 'say who we are'))
      return access.refused('', { accessToken: asToken, query: {} }, refusal).then(() => null, messageOf)
    }
    return pingProblem()
  }

  async function pingProblem(): Promise<string | null> {
    try {
      const path = `/appservice/${encodeURIComponent(appserviceId)}/ping`
      await api.request({ method: 'POST', path, prefix: '/_matrix/client/v1', body: {} }, asToken)
      return null
    } catch (error) {
      // Homeservers from before version 1.7 of the specification don't ping; whether they reach us shows when they push.
      if (isMatrixError(error, 'M_UNRECOGNIZED') || hasStatus(error, 404, 405)) return null
      if (isMatrixError(error, 'M_URL_NOT_SET'))
        return 'the url of our registration at the homeserver is null: events can’t be pushed'
      if (isMatrixError(error, 'M_BAD_STATUS'))
        return `the homeserver reaches the url of our registration, and what answers there refuses it: is MATRIX_HS_TOKEN the hs_token of the registration? (${error.data?.error ?? ''})`
      if (isMatrixError(error, 'M_CONNECTION_FAILED', 'M_CONNECTION_TIMEOUT'))
        return `the homeserver can't reach us at the url of our registration (${error.data?.error ?? ''})`
      return messageOf(asGatewayError(error, 'ping us'))
    }
  }

  async function check(): Promise<boolean> {
    const found = await problem()
    // What is wrong with the as_token has been told where it was noticed.
    if (found !== null && found !== failure && found !== access.trouble(''))
      logger.error({ registration: appserviceId }, found)
    if (found === null && (failure !== null || !hasAsked))
      logger.info('the homeserver knows us and reaches us')
    failure = found
    hasAsked = true
    return found === null
  }

  return {
    check,
    failure: () => failure,
    worker: {
      name: 'matrix-appservice',
      async run(signal) {
        for (let failures = 0; !signal.aborted; ) {
          failures = (await check()) ? 0 : failures + 1
          await clock.sleep(failures === 0 ? INTERVAL_MS : backoffMs(failures, RETRY), signal)
        }
      },
    },
  }
}

function hasStatus(error: unknown, ...statuses: number[]): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'httpStatus' in error &&
    statuses.includes(Number(error.httpStatus))
  )
}
