/**
 * Driver for bridges that speak the bridgev2 provisioning API (maunium.net/go/mautrix, bridgev2/matrix). Calls carry the bridge's shared
 * secret and, always, `?user_id=`. Bridges of different age differ: every field we don't need is optional, and none is trusted.
 */
import { z } from 'zod'
import { GatewayError, messageOf } from '../domain/errors.ts'
import type { Bridge, BridgeContact, BridgeLogin, LoginStep } from '../domain/ports.ts'

export interface BridgeAddress {
  /** Base URL of the bridge, without a trailing slash. */
  baseUrl: string
  /** How requests get there; the network by default. */
  fetch?: ((request: Request) => Promise<Response>) | undefined
}

/** A call other than a login's long poll is given up after this many milliseconds. */
const TIMEOUT_MS = 20_000

const text = z.string().catch('').default('')
const optionalText = z.string().nullish().catch(null)

const whoamiAnswer = z.object({
  bridge_bot: optionalText,
  command_prefix: optionalText,
  login_flows: z
    .array(z.object({ id: z.string(), name: text, description: text }))
    .catch([])
    .default([]),
  logins: z
    .array(
      z.object({
        id: z.string(),
        name: text,
        profile: z.object({ phone: optionalText, name: optionalText }).nullish().catch(null),
        state: z
          .object({
            state_event: optionalText,
            reason: optionalText,
            error: optionalText,
            message: optionalText,
          })
          .nullish()
          .catch(null),
      }),
    )
    .nullish()
    .transform(logins => logins ?? []),
})
export type Whoami = z.infer<typeof whoamiAnswer>

const stepAnswer = z.object({
  login_id: z.string().default(''),
  type: z.string(),
  step_id: z.string().default(''),
  instructions: text,
  display_and_wait: z.object({ type: z.string(), data: text }).optional(),
  user_input: z
    .object({
      fields: z.array(
        z.object({
          id: z.string(),
          type: text,
          name: text,
          description: text,
          options: z.array(z.string()).nullish().catch([]),
        }),
      ),
    })
    .optional(),
  complete: z.object({ user_login_id: z.string() }).optional(),
})

const contactAnswer = z.object({
  id: text,
  name: text,
  identifiers: z.array(z.string()).nullish().catch([]),
  mxid: optionalText,
  dm_room_mxid: optionalText,
})
const contactsAnswer = z.object({ contacts: z.array(contactAnswer).nullish() })

const errorAnswer = z.object({ errcode: text, error: text })

interface Call {
  method: 'GET' | 'POST'
  path: string
  userId: string
  query?: Record<string, string | undefined>
  body?: Record<string, unknown>
  /** Ends the call from outside; a call with a signal has no time limit of its own. */
  signal?: AbortSignal
}

/** The part of the Bridge port that the provisioning API serves. */
export type ProvisioningClient = Omit<Bridge, 'bot' | 'resolveGroupLink' | 'joinGroup'> & {
  whoami(userId: string): Promise<Whoami>
}

/** @param sharedSecret the bridge's `provisioning.shared_secret` */
export function createProvisioningClient(
  platform: string,
  address: BridgeAddress,
  sharedSecret: string,
): ProvisioningClient {
  const send = address.fetch ?? ((request: Request) => fetch(request))

  async function call<T extends z.ZodType>(
    answer: T,
    { method, path, userId, query, body, signal }: Call,
  ): Promise<z.output<T>> {
    const url = new URL(`${address.baseUrl}/_matrix/provision/v3${path}`)
    url.searchParams.set('user_id', userId)
    for (const [name, value] of Object.entries(query ?? {}))
      if (value !== undefined) url.searchParams.set(name, value)
    const request = new Request(url.href, {
      method,
      headers: { Authorization: `Bearer ${sharedSecret}`, 'Content-Type': 'application/json' },
      signal: signal ?? AbortSignal.timeout(TIMEOUT_MS),
      ...(method === 'POST' ? { body: JSON.stringify(body ?? {}) } : {}),
    })
    const response = await send(request).catch(error => {
      throw unreachable(platform, error)
    })
    const json: unknown = await response.json().catch(() => null)
    if (!response.ok) throw refusal(platform, response.status, json)
    const parsed = answer.safeParse(json)
    if (parsed.success) return parsed.data
    const issue = parsed.error.issues[0]
    throw new GatewayError(
      'bridge_error',
      `the ${platform} bridge gave an answer we don't understand (${issue?.path.join('.')}: ${issue?.message})`,
    )
  }

  const whoami = (userId: string) => call(whoamiAnswer, { method: 'GET', path: '/whoami', userId })

  return {
    platform,
    whoami,
    flows: async userId => (await whoami(userId)).login_flows,
    logins: async userId => (await whoami(userId)).logins.map(bridgeLogin),

    async startLogin(userId, flow, loginId) {
      const path = `/login/start/${encodeURIComponent(flow)}`
      return loginStep(
        platform,
        await call(stepAnswer, { method: 'POST', path, userId, query: { login_id: loginId } }),
      )
    },

    async waitForLogin(userId, { processId, stepId }, signal) {
      const path = `/login/step/${encodeURIComponent(processId)}/${encodeURIComponent(stepId)}/display_and_wait`
      return loginStep(platform, await call(stepAnswer, { method: 'POST', path, userId, signal }))
    },

    async submitLogin(userId, { processId, stepId }, fields) {
      const path = `/login/step/${encodeURIComponent(processId)}/${encodeURIComponent(stepId)}/user_input`
      return loginStep(platform, await call(stepAnswer, { method: 'POST', path, userId, body: fields }))
    },

    async cancelLogin(userId, processId) {
      await call(z.unknown(), {
        method: 'POST',
        path: `/login/cancel/${encodeURIComponent(processId)}`,
        userId,
      })
    },

    async logout(userId, loginId) {
      await call(z.unknown(), { method: 'POST', path: `/logout/${encodeURIComponent(loginId)}`, userId })
    },

    async contacts(userId, loginId) {
      const answer = await call(contactsAnswer, {
        method: 'GET',
        path: '/contacts',
        userId,
        query: { login_id: loginId },
      })
      return (answer.contacts ?? []).map(bridgeContact)
    },

    async resolveIdentifier(userId, loginId, identifier) {
      const path = `/resolve_identifier/${encodeURIComponent(identifier)}`
      return bridgeContact(
        await call(contactAnswer, { method: 'GET', path, userId, query: { login_id: loginId } }),
      )
    },

    async createDirectChat(userId, loginId, identifier) {
      const path = `/create_dm/${encodeURIComponent(identifier)}`
      const contact = bridgeContact(
        await call(contactAnswer, { method: 'POST', path, userId, query: { login_id: loginId } }),
      )
      if (contact.roomId) return { roomId: contact.roomId, contact }
      throw new GatewayError('bridge_error', `the ${platform} bridge made no chat with ${identifier}`)
    },
  }
}

function loginStep(platform: string, answer: z.infer<typeof stepAnswer>): LoginStep {
  const step = { processId: answer.login_id, stepId: answer.step_id, instructions: answer.instructions }
  const { type, display_and_wait: display, user_input: input, complete } = answer
  if (type === 'complete' && complete) return { kind: 'complete', loginId: complete.user_login_id }
  if (type === 'display_and_wait' && display) {
    const known = ['qr', 'code', 'emoji'] as const
    return {
      ...step,
      kind: 'display',
      display: known.find(name => name === display.type) ?? 'nothing',
      data: display.data,
    }
  }
  if (type === 'user_input' && input) {
    return {
      ...step,
      kind: 'input',
      fields: input.fields.map(field => ({ ...field, options: field.options ?? [] })),
    }
  }
  throw new GatewayError(
    'bridge_error',
    `the ${platform} bridge asks for a login step we can't take (${type})`,
  )
}

function bridgeLogin(login: Whoami['logins'][number]): BridgeLogin {
  const { profile, state } = login
  return {
    id: login.id,
    name: profile?.name || login.name || login.id,
    phone: profile?.phone ?? null,
    stateEvent: state?.state_event ?? null,
    reason: state?.message || state?.error || state?.reason || null,
  }
}

function bridgeContact(contact: z.infer<typeof contactAnswer>): BridgeContact {
  const tel = contact.identifiers?.find(identifier => identifier.startsWith('tel:'))
  return {
    matrixUserId: contact.mxid ?? null,
    name: contact.name || contact.id,
    phone: tel ? tel.slice('tel:'.length).replace(/^\+/, '') : null,
    roomId: contact.dm_room_mxid || null,
  }
}

function unreachable(platform: string, error: unknown): GatewayError {
  const name = error instanceof Error ? error.name : ''
  if (name === 'TimeoutError') {
    return new GatewayError(
      'bridge_timeout',
      `the ${platform} bridge didn't answer within ${TIMEOUT_MS / 1000} s`,
    )
  }
  return new GatewayError(
    'bridge_unavailable',
    `the ${platform} bridge can't be reached (${messageOf(error)})`,
  )
}

/** What a bridge's refusal means to our callers. The bridge's own words are kept: they are the reason people need. */
function refusal(platform: string, status: number, json: unknown): GatewayError {
  const { errcode = '', error = '' } = errorAnswer.safeParse(json).data ?? {}
  const said = error || errcode || `HTTP ${status}`
  if (errcode === 'M_UNRECOGNIZED' || status === 501) {
    return new GatewayError('bridge_error', `the ${platform} bridge can't do this (${said})`)
  }
  if (status === 401 || errcode === 'M_UNKNOWN_TOKEN' || errcode === 'M_MISSING_TOKEN') {
    return new GatewayError(
      'bridge_error',
      `the ${platform} bridge doesn't accept our provisioning secret (${said})`,
    )
  }
  // What a bridge says while its network is out of reach, and before anything was done.
  if (status >= 500) return new GatewayError('bridge_unavailable', `the ${platform} bridge failed: ${said}`)
  if (status === 404) return new GatewayError('not_found', `the ${platform} bridge found nothing (${said})`)
  return new GatewayError('bridge_error', `the ${platform} bridge refused: ${said}`)
}
