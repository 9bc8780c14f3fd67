/** Examines a homeserver from outside, to say what is wrong. It changes and throws nothing. */
import { z } from 'zod'
import { connectionProblem } from '../lib/connection-problem.ts'
import { isLoopback } from '../lib/hosts.ts'
import { askPeer } from '../lib/peer-request.ts'

/** Outcome of having the homeserver ping an application service. */
export type PingOutcome =
  | { kind: 'reached' }
  /** The homeserver doesn't know the as_token. */
  | { kind: 'unknown_token' }
  /** It knows the token, as that of another id. */
  | { kind: 'other_registration' }
  /** The registration's url is null. */
  | { kind: 'no_url' }
  | { kind: 'unreachable'; detail: string }
  /** The program at the url doesn't take the hs_token. */
  | { kind: 'refused'; detail: string }
  /**
   * The program at the url knows no ping: an application service from before pings, or another
   * program.
   */
  | { kind: 'no_ping'; detail: string }
  /**
   * The program at the url answers neither as an application service nor that it refuses the token.
   */
  | { kind: 'strange'; detail: string }
  /** The homeserver is from before version 1.7 of the specification. */
  | { kind: 'unsupported' }
  /** The homeserver itself didn't answer as it should. */
  | { kind: 'failed'; detail: string }

export type HomeserverProbe = ReturnType<typeof createHomeserverProbe>

export interface HomeserverVersions {
  /** Newest version of the specification that it names, such as `v1.12`. */
  newest: string
  /** Its clock, to the second; null when it doesn't say. */
  date: number | null
}

const TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 1024 * 1024

const versionsAnswer = z.object({ versions: z.array(z.string()) })
const softwareAnswer = z.object({ server: z.object({ name: z.string(), version: z.string() }) })
const whoamiAnswer = z.object({ user_id: z.string() })
const errorAnswer = z.object({ errcode: z.string().catch(''), error: z.string().catch('') })

/**
 * @param baseUrl without a trailing slash
 * @param send how requests get there; the network by default
 */
export function createHomeserverProbe(
  baseUrl: string,
  send: (url: string, init: BunFetchRequestInit) => Promise<Response> = (url, init) =>
    askPeer(url, init, MAX_ANSWER_BYTES),
) {
  async function ask(method: 'GET' | 'POST', path: string, token?: string): Promise<Answer | Failure> {
    try {
      const response = await send(baseUrl + path, {
        method,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(method === 'POST' ? { body: '{}' } : {}),
        // An embedded homeserver is asked on the loopback, which its certificate isn't for.
        ...(isLoopback(new URL(baseUrl).hostname) ? { tls: { rejectUnauthorized: false } } : {}),
      })
      return { response, body: await response.json().catch(() => null) }
    } catch (error) {
      return { error: connectionProblem(error) }
    }
  }

  return {
    async versions(): Promise<HomeserverVersions | Failure> {
      const answer = await ask('GET', '/_matrix/client/versions')
      if ('error' in answer) return answer
      const { response, body } = answer
      const parsed = versionsAnswer.safeParse(body)
      if (!parsed.success) return { error: `what answers there is no homeserver (HTTP ${response.status})` }
      const date = Date.parse(response.headers.get('date') ?? '')
      return { newest: newestOf(parsed.data.versions), date: Number.isNaN(date) ? null : date }
    },

    /** Its own name and version, such as `Synapse 1.163.2`; null when it doesn't tell. */
    async software(): Promise<string | null> {
      const answer = await ask('GET', '/_matrix/federation/v1/version')
      const parsed = softwareAnswer.safeParse('body' in answer ? answer.body : null)
      return parsed.success ? `${parsed.data.server.name} ${parsed.data.server.version}` : null
    },

    /** @returns the user that the token belongs to; a refusal when it is of nobody */
    async whoami(token: string): Promise<{ userId: string } | { refusal: string } | Failure> {
      const answer = await ask('GET', '/_matrix/client/v3/account/whoami', token)
      if ('error' in answer) return answer
      const parsed = whoamiAnswer.safeParse(answer.body)
      if (parsed.success) return { userId: parsed.data.user_id }
      const { told } = saying(answer)
      return [401, 403].includes(answer.response.status) ? { refusal: told } : { error: told }
    },

    async ping(appserviceId: string, asToken: string): Promise<PingOutcome> {
      const path = `/_matrix/client/v1/appservice/${encodeURIComponent(appserviceId)}/ping`
      const answer = await ask('POST', path, asToken)
      if ('error' in answer) return { kind: 'failed', detail: answer.error }
      return answer.response.ok ? { kind: 'reached' } : pingFailure(answer)
    },
  }
}

interface Failure {
  error: string
}

interface Answer {
  response: Response
  body: unknown
}

function pingFailure(answer: Answer): PingOutcome {
  const { errcode, told } = saying(answer)
  switch (errcode) {
    case 'M_UNKNOWN_TOKEN':
    case 'M_MISSING_TOKEN':
      return { kind: 'unknown_token' }
    case 'M_FORBIDDEN':
      return { kind: 'other_registration' }
    case 'M_URL_NOT_SET':
      return { kind: 'no_url' }
    case 'M_BAD_STATUS':
      return badStatus(answer, told)
    case 'M_CONNECTION_FAILED':
    case 'M_CONNECTION_TIMEOUT':
      return { kind: 'unreachable', detail: told }
    default: {
      const isMissing = errcode === 'M_UNRECOGNIZED' || [404, 405].includes(answer.response.status)
      return isMissing ? { kind: 'unsupported' } : { kind: 'failed', detail: told }
    }
  }
}

const badStatusAnswer = z.object({ status: z.number() })

/** Only 401 and 403 concern the token. */
function badStatus({ body }: Answer, detail: string): PingOutcome {
  const status = badStatusAnswer.safeParse(body).data?.status
  if (status === undefined) return { kind: 'strange', detail }
  if (status === 401 || status === 403) return { kind: 'refused', detail }
  const told = detail.includes(String(status)) ? detail : `HTTP ${status}: ${detail}`
  return { kind: status === 404 || status === 405 ? 'no_ping' : 'strange', detail: told }
}

function saying({ response, body }: Answer): { errcode: string; told: string } {
  const { errcode = '', error = '' } = errorAnswer.safeParse(body).data ?? {}
  return { errcode, told: error || errcode || `HTTP ${response.status}` }
}

/** `v1.12` is newer than `v1.9`. */
function newestOf(versions: readonly string[]): string {
  const order = (version: string) => {
    const [, major = '0', minor = '0'] = /^v(\d+)\.(\d+)/.exec(version) ?? []
    return Number(major) * 10_000 + Number(minor)
  }
  return versions.toSorted((one, other) => order(other) - order(one))[0] ?? 'unknown'
}
