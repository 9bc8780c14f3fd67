/**
 * Driver for the bridgev2 provisioning API, version 3 (maunium.net/go/mautrix,
 * bridgev2/matrix/provisioning.go). Each call carries the bridge's shared secret and `?user_id=`.
 */
import { z } from 'zod'
import { type ErrorCode, GatewayError } from '../domain/errors.ts'
import type { AskingStep, LoginStep } from '../domain/login-steps.ts'
import type { BridgeCapabilities } from '../domain/ports.ts'
import { askPeer, type PeerAddress } from '../lib/peer-request.ts'
import type { BotDriver } from './bot-driver.ts'
import {
  bridgeCapabilities,
  bridgeContact,
  bridgeContacts,
  bridgeLogin,
  type CapabilitiesAnswer,
  capabilitiesAnswer,
  contactAnswer,
  contactsAnswer,
  groupAnswer,
  groupType,
  loginStep,
  searchAnswer,
  stepAnswer,
  type Whoami,
  whoamiAnswer,
} from './provisioning-answers.ts'
import {
  isBadState,
  isStillFetching,
  isWithoutApi,
  notABridge,
  refusal,
  refusalAboutPeople,
  refusalOfInput,
  refusalOfStart,
  refusalOfWhoami,
  unreachable,
} from './provisioning-errors.ts'

/** Time limit of a call in milliseconds, except a login's long poll. */
const TIMEOUT_MS = 20_000
/** An answer holds some logins, or one step with its pictures. */
const MAX_ANSWER_BYTES = 2 * 1024 * 1024
/** A contact takes about 300 bytes. */
const MAX_BOOK_BYTES = 8 * 1024 * 1024
/** A login step may connect to the network first, for which bridges take up to 15 s, twice. */
const LOGIN_TIMEOUT_MS = 45_000
/** The network makes the group, and the bridge its room with everybody in it. */
const GROUP_TIMEOUT_MS = 60_000
/** A phone may have to send older messages first, for which bridges wait 25 s. */
const FETCH_TIMEOUT_MS = 30_000

/** Error codes for a call that the bridge doesn't have. */
const MISSING: readonly ErrorCode[] = ['not_supported', 'not_found']

/** Ends of the paths by which a step's answer is given. */
const SUBMISSIONS = { input: 'user_input', cookies: 'cookies', passkey: 'webauthn' } as const

interface Call {
  method: 'GET' | 'POST'
  path: string
  userId: string
  query?: Record<string, string | undefined>
  body?: Record<string, unknown>
  /** Time limit in milliseconds. */
  timeoutMs?: number
  /** Ends the call from outside; a call with a signal has no time limit of its own. */
  signal?: AbortSignal
  /** Size limit of the answer. */
  maxBytes?: number
  /** Translates a refusal. */
  refused?: typeof refusal
}

/** The part of the Bridge port that the provisioning API serves. */
export type ProvisioningClient = Omit<BotDriver, 'describe' | 'forgetLogins'> & {
  whoami(userId: string): Promise<Whoami>
  capabilities(userId: string): Promise<BridgeCapabilities>
  /** True if the bridge has a provisioning API. @throws bridge_unavailable, bridge_timeout */
  isThere(userId: string): Promise<boolean>
}

/** @param sharedSecret the bridge's `provisioning.shared_secret` */
export function createProvisioningClient(
  platform: string,
  address: PeerAddress,
  sharedSecret: string,
): ProvisioningClient {
  async function request(call: Call): Promise<Response> {
    const { method, path, userId, query, body, timeoutMs, signal, maxBytes = MAX_ANSWER_BYTES } = call
    const url = new URL(`${address.baseUrl}/_matrix/provision/v3${path}`)
    url.searchParams.set('user_id', userId)
    for (const [name, value] of Object.entries(query ?? {}))
      if (value !== undefined) url.searchParams.set(name, value)
    const limitMs = timeoutMs ?? TIMEOUT_MS
    const asked = new Request(url.href, {
      method,
      headers: { Authorization: `Bearer ${sharedSecret}`, 'Content-Type': 'application/json' },
      signal: signal ?? AbortSignal.timeout(limitMs),
      ...(method === 'POST' ? { body: JSON.stringify(body ?? {}) } : {}),
    })
    return (address.fetch?.(asked) ?? askPeer(asked, {}, maxBytes)).catch(error => {
      throw unreachable(platform, error, limitMs)
    })
  }

  async function call<T extends z.ZodType>(answer: T, asked: Call): Promise<z.output<T>> {
    const response = await request(asked)
    const json: unknown = await response.json().catch(() => undefined)
    if (!response.ok) throw (asked.refused ?? refusal)(platform, response.status, json)
    if (json === undefined) throw notABridge(platform, response.headers.get('content-type'))
    const parsed = answer.safeParse(json)
    if (parsed.success) return parsed.data
    const issue = parsed.error.issues[0]
    throw new GatewayError(
      'bridge_error',
      `the ${platform} bridge gave an answer we don't understand (${issue?.path.join('.')}: ${issue?.message})`,
    )
  }

  /** A login that we can't go on with is ended: nobody else would. */
  async function step(asked: Call): Promise<LoginStep> {
    const answer = await call(stepAnswer, asked)
    try {
      return loginStep(platform, answer)
    } catch (error) {
      if (answer.login_id !== '') await cancelLogin(asked.userId, answer.login_id).catch(() => undefined)
      throw error
    }
  }

  async function cancelLogin(userId: string, processId: string): Promise<void> {
    const path = `/login/cancel/${encodeURIComponent(processId)}`
    await call(z.unknown(), { method: 'POST', path, userId })
  }

  async function capabilities(userId: string): Promise<CapabilitiesAnswer> {
    try {
      return await call(capabilitiesAnswer, { method: 'GET', path: '/capabilities', userId })
    } catch (error) {
      // Older bridges lack this call, but still have their abilities.
      if (!(error instanceof GatewayError && MISSING.includes(error.code))) throw error
      return { resolve_identifier: null, group_creation: null }
    }
  }

  const whoami = (userId: string) =>
    call(whoamiAnswer, { method: 'GET', path: '/whoami', userId, refused: refusalOfWhoami })

  return {
    whoami,
    bot: async userId => (await whoami(userId)).bridge_bot || null,

    async isThere(userId) {
      const response = await request({ method: 'GET', path: '/whoami', userId })
      return response.ok || !isWithoutApi(response.status, await response.json().catch(() => null))
    },

    capabilities: async userId => bridgeCapabilities(await capabilities(userId)),

    flows: async userId => (await whoami(userId)).login_flows,
    async logins(userId) {
      const answer = await whoami(userId).catch(error => {
        // A user unknown to the bridge has no logins.
        if (error instanceof GatewayError && error.code === 'not_found') return { logins: [] }
        throw error
      })
      return answer.logins.map(bridgeLogin)
    },

    startLogin: (userId, flow, loginId) =>
      step({
        method: 'POST',
        path: `/login/start/${encodeURIComponent(flow)}`,
        userId,
        query: { login_id: loginId },
        timeoutMs: LOGIN_TIMEOUT_MS,
        refused: refusalOfStart,
      }),

    waitForLogin: (userId, shown, signal) =>
      step({
        method: 'POST',
        path: stepPath(shown, 'display_and_wait'),
        userId,
        query: { txn_id: shown.txnId ?? undefined },
        signal,
      }),

    submitLogin: (userId, asking, fields) =>
      step({
        method: 'POST',
        path: stepPath(asking, SUBMISSIONS[asking.kind]),
        userId,
        query: { txn_id: asking.txnId ?? undefined },
        // The bridge wants the credential itself.
        body: asking.kind === 'passkey' ? JSON.parse(fields.credential ?? '{}') : fields,
        timeoutMs: LOGIN_TIMEOUT_MS,
        refused: refusalOfInput,
      }),

    async isLoginAt(userId, asking) {
      // No call reports it, but a login refuses a step of another type, and a missing one is 404.
      const path = stepPath(asking, 'display_and_wait')
      const response = await request({ method: 'POST', path, userId })
      return isBadState(await response.json().catch(() => null))
    },

    cancelLogin,

    async logout(userId, loginId) {
      await call(z.unknown(), { method: 'POST', path: `/logout/${encodeURIComponent(loginId)}`, userId })
    },

    async contacts(userId, loginId) {
      const asked = about({ path: '/contacts', userId }, loginId)
      const answer = await call(contactsAnswer, { ...asked, maxBytes: MAX_BOOK_BYTES })
      return bridgeContacts(answer.contacts)
    },

    async search(userId, loginId, query) {
      const asked = about({ path: '/search_users', userId }, loginId)
      const search = { method: 'POST', body: { query }, maxBytes: MAX_BOOK_BYTES } as const
      const answer = await call(searchAnswer, { ...asked, ...search })
      return bridgeContacts(answer.results)
    },

    async resolveIdentifier(userId, loginId, identifier) {
      const path = `/resolve_identifier/${encodeURIComponent(identifier)}`
      return bridgeContact(await call(contactAnswer, about({ path, userId }, loginId)))
    },

    async createDirectChat(userId, loginId, identifier) {
      const path = `/create_dm/${encodeURIComponent(identifier)}`
      const asked = about({ path, userId }, loginId)
      const contact = bridgeContact(await call(contactAnswer, { ...asked, method: 'POST' }))
      if (contact.roomId) return { roomId: contact.roomId, contact }
      throw new GatewayError('bridge_error', `the ${platform} bridge made no chat with ${identifier}`)
    },

    async createGroup(userId, loginId, { name, participants }) {
      const type = groupType(platform, await capabilities(userId))
      const made = await call(groupAnswer, {
        method: 'POST',
        path: `/create_group/${encodeURIComponent(type)}`,
        userId,
        query: { login_id: loginId },
        body: { name: { name }, participants },
        timeoutMs: GROUP_TIMEOUT_MS,
        refused: refusalAboutPeople,
      })
      const failed = Object.entries(made.failed_participants ?? {})
      return {
        roomId: made.mxid,
        channelId: made.id,
        failed: new Map(failed.map(([id, { reason }]) => [id, reason])),
      }
    },

    async fetchOlder(userId, loginId, roomId) {
      const path = `/backfill/${encodeURIComponent(roomId)}`
      const asked: Call = {
        method: 'POST',
        path,
        userId,
        query: { login_id: loginId },
        timeoutMs: FETCH_TIMEOUT_MS,
      }
      const response = await request(asked)
      if (response.status === 204) return 'complete'
      if (response.ok) return 'fetched'
      const json: unknown = await response.json().catch(() => undefined)
      if (isStillFetching(json)) return 'pending'
      throw refusal(platform, response.status, json)
    },
  }
}

/** A call about people a login can reach. */
function about(asked: Pick<Call, 'path' | 'userId'>, loginId: string): Call {
  return { ...asked, method: 'GET', query: { login_id: loginId }, refused: refusalAboutPeople }
}

function stepPath({ processId, stepId }: Pick<AskingStep, 'processId' | 'stepId'>, type: string): string {
  return `/login/step/${encodeURIComponent(processId)}/${encodeURIComponent(stepId)}/${type}`
}
