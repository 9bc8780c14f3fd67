/**
 * The admin API of the Matrix Authentication Service. We are a client of its
 * policy.data.admin_clients, and get the scope urn:mas:admin by client credentials (RFC 6749,
 * section 4.4).
 */

import { z } from 'zod'
import { GatewayError } from '../../domain/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { connectionProblem } from '../../lib/connection-problem.ts'
import { jsonOrNull } from '../../lib/json-or-null.ts'
import { askPeer, type PeerRequestInit } from '../../lib/peer-request.ts'
import { SingleFlight } from '../../lib/single-flight.ts'

const grantAnswer = z.object({
  access_token: z.string().min(1),
  expires_in: z.number().positive().optional(),
})
const errorAnswer = z.union([
  z
    .object({ errors: z.array(z.object({ title: z.string() })).min(1) })
    .transform(body => body.errors[0]?.title),
  z
    .object({ error: z.string(), error_description: z.string().optional() })
    .transform(({ error, error_description: description }) =>
      description ? `${error}: ${description}` : error,
    ),
])

export type MasClient = ReturnType<typeof createMasClient>

export interface MasAnswer {
  status: number
  body: unknown
}

const TIMEOUT_MS = 30_000
const MAX_ANSWER_BYTES = 1024 * 1024
/** A token of the service is given up this long before it expires. */
const EXPIRY_MARGIN_MS = 30_000
/** Where the service doesn't say how long its tokens last: what it does by default. */
const DEFAULT_EXPIRY_S = 300

export function createMasClient(options: {
  /** Base URL of the service, for the token endpoint. */
  url: string
  /** Base URL of the listener with the admin API. */
  adminUrl: string
  clientId: string
  clientSecret: string
  clock: Clock
}) {
  const { url, adminUrl, clientId, clientSecret, clock } = options
  let token: { value: string; expiresAt: number } | undefined
  const granting = new SingleFlight<string>()

  async function request(what: string, address: string, init: PeerRequestInit): Promise<MasAnswer> {
    try {
      const asked = { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) }
      const response = await askPeer(address, asked, MAX_ANSWER_BYTES)
      const text = await response.text()
      const body = jsonOrNull(text)
      if (response.status === 429) throw limited(what, response)
      if (response.status >= 500)
        throw new GatewayError(
          'homeserver_unavailable',
          `${refused(what, { status: response.status, body })}`,
        )
      return { status: response.status, body }
    } catch (error) {
      if (error instanceof GatewayError) throw error
      throw new GatewayError(
        'homeserver_unavailable',
        `the authentication service can't be reached to ${what} (${connectionProblem(error)})`,
      )
    }
  }

  /** One grant at a time; whoever asks meanwhile shares it. */
  function accessToken(): Promise<string> {
    if (token && token.expiresAt > clock.steady()) return Promise.resolve(token.value)
    return granting.run('admin', grant)
  }

  async function grant(): Promise<string> {
    const what = 'grant urn:mas:admin to ADMIN_CLIENT_ID'
    const answer = await request(what, `${url}/oauth2/token`, {
      method: 'POST',
      headers: {
        Authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
        'Content-Type': 'application/x-www-form-urlencoded',
        Accept: 'application/json',
      },
      body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'urn:mas:admin' }).toString(),
    })
    const granted = grantAnswer.safeParse(answer.body)
    if (answer.status !== 200 || !granted.success) throw masError(what, answer)
    const lifetimeMs = (granted.data.expires_in ?? DEFAULT_EXPIRY_S) * 1000
    // A token that lasts no longer than the margin serves half its time.
    const usableMs = Math.max(lifetimeMs - EXPIRY_MARGIN_MS, lifetimeMs / 2)
    token = { value: granted.data.access_token, expiresAt: clock.steady() + usableMs }
    return token.value
  }

  async function tryCall(what: string, method: string, path: string, body?: object): Promise<MasAnswer> {
    return request(what, `${adminUrl}/api/admin/v1${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${await accessToken()}`,
        Accept: 'application/json',
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  }

  return {
    /**
     * @param what completes "… refused to …"
     * @returns status and parsed JSON of any answer below 500 except 401 and 429
     * @throws GatewayError homeserver_unavailable (with retryAfterS after a rate limit), or
     * homeserver_error when we aren't let in
     */
    async call(what: string, method: 'GET' | 'POST', path: string, body?: object): Promise<MasAnswer> {
      const answer = await tryCall(what, method, path, body)
      if (answer.status !== 401) return answer
      // Expired earlier than it said, or revoked.
      token = undefined
      const second = await tryCall(what, method, path, body)
      if (second.status === 401) throw masError(what, second)
      return second
    },
  }
}

/** An answer that the caller has no use for. */
export function masError(what: string, answer: MasAnswer): GatewayError {
  return new GatewayError('homeserver_error', refused(what, answer))
}

function refused(what: string, { status, body }: MasAnswer): string {
  const told = errorAnswer.safeParse(body)
  return `the authentication service refused to ${what} (${told.success ? told.data : `HTTP ${status}`})`
}

function limited(what: string, response: Response): GatewayError {
  const seconds = Number(response.headers.get('Retry-After') ?? Number.NaN)
  return new GatewayError(
    'homeserver_unavailable',
    `the authentication service limits how often one may ${what}`,
    Number.isFinite(seconds) ? seconds : 5,
  )
}
