/** Translates a bridge's refusals and outages for our callers, keeping its words: they say why. */
import { z } from 'zod'
import { GatewayError } from '../domain/errors.ts'
import { connectionProblem } from '../lib/connection-problem.ts'
import { AnswerRefused } from '../lib/peer-request.ts'

const errorAnswer = z.object({
  errcode: z.string().catch('').default(''),
  error: z.string().catch('').default(''),
})

/** bridgev2's LOGIN_TIMED_OUT, and connectors' codes such as FI.MAU.WHATSAPP.LOGIN_TIMEOUT. */
const TIMEOUT_CODE = /TIME(D_)?_?OUT/
/** The login is on another step, or on one of another type. */
const BAD_STATE = 'M_BAD_STATE'

/** bridgev2 waits for 25 seconds. */
const BACKFILL_TIMEOUT = 'FI.MAU.BRIDGE_BACKFILL_TIMEOUT'

/** Codes for our own faults: a wrong secret, a wrong login step, or an unsupported call. */
const OUR_AFFAIR = ['M_UNKNOWN_TOKEN', 'M_MISSING_TOKEN', BAD_STATE, 'M_UNRECOGNIZED']
/** Statuses of a proxy when nothing behind it answers. */
export const PROXY_STATUSES: readonly number[] = [502, 503, 504]

/** RFC 4918 section 11.5. */
const INSUFFICIENT_STORAGE = 507

/**
 * bridgev2's message for a login_id that isn't the user's, and for a login process that never began
 * or has ended. The code is M_NOT_FOUND, as for a missing person.
 */
const LOGIN_GONE = 'Login not found'

export function unreachable(platform: string, error: unknown, timeoutMs: number): GatewayError {
  if (error instanceof AnswerRefused)
    return new GatewayError('bridge_error', `the ${platform} bridge's answer isn't taken: ${error.message}`)
  const name = error instanceof Error ? error.name : ''
  if (name === 'TimeoutError') {
    return new GatewayError(
      'bridge_timeout',
      `the ${platform} bridge didn't answer within ${timeoutMs / 1000} s`,
    )
  }
  return new GatewayError(
    'bridge_unavailable',
    `the ${platform} bridge can't be reached (${connectionProblem(error)})`,
  )
}

/** For an answer that isn't JSON: a proxy or another program answers in the bridge's place. */
export function notABridge(platform: string, contentType: string | null): GatewayError {
  const what = contentType === null ? 'something' : contentType.split(';')[0]
  return new GatewayError(
    'bridge_error',
    `what answers at the ${platform} bridge's address is no bridge, or a broken one (${what} that isn't JSON)`,
  )
}

/** @param json the refusal's body, if any */
export function refusal(platform: string, status: number, json: unknown): GatewayError {
  const { errcode } = saying(json)
  const said = wordsOf(status, json)
  if (errcode === 'M_UNRECOGNIZED' || status === 501) {
    return new GatewayError('not_supported', `the ${platform} bridge can't do this (${said})`)
  }
  if (status === 401 || errcode === 'M_UNKNOWN_TOKEN' || errcode === 'M_MISSING_TOKEN') {
    return new GatewayError(
      'bridge_error',
      `the ${platform} bridge doesn't accept our provisioning secret (${said})`,
    )
  }
  if (TIMEOUT_CODE.test(errcode)) return new GatewayError('bridge_timeout', `the ${platform} login: ${said}`)
  if (status === INSUFFICIENT_STORAGE)
    return new GatewayError('storage_full', `the ${platform} bridge has no space left: ${said}`)
  // Bridges answer this while their network is unreachable, before doing anything.
  if (status >= 500) return new GatewayError('bridge_unavailable', `the ${platform} bridge failed: ${said}`)
  if (status === 404) return new GatewayError('not_found', `the ${platform} bridge found nothing (${said})`)
  return new GatewayError('bridge_error', `the ${platform} bridge refused: ${said}`)
}

/**
 * Like `refusal`, for input typed by a person, who can mend whatever the bridge refuses in its own
 * words. Most bridges answer 500 both for unknown refusals of their network and when it is
 * unreachable, in the same words.
 */
export function refusalOfInput(platform: string, status: number, json: unknown): GatewayError {
  const { errcode, error } = saying(json)
  const isOurAffair =
    OUR_AFFAIR.includes(errcode) ||
    (status === 404 && error === LOGIN_GONE) ||
    status === INSUFFICIENT_STORAGE ||
    TIMEOUT_CODE.test(errcode)
  // A proxy answers for a bridge that is gone.
  const isProxys = PROXY_STATUSES.includes(status) && error === '' && errcode === ''
  if (isOurAffair || isProxys) return refusal(platform, status, json)
  const said = wordsOf(status, json)
  const isUntold = status >= 500 && (errcode === '' || errcode === UNTYPED)
  return isUntold ? new GatewayError('bad_request', `${UNTOLD}: ${said}`) : inputRefused(said)
}

/** @param words from the bridge to the person who typed the input */
export function inputRefused(words: string): GatewayError {
  return new GatewayError('bad_request', `the bridge refused this: ${words}`)
}

/** bridgev2's code for an error without a code from its connector. */
const UNTYPED = 'M_UNKNOWN'
const UNTOLD = "the bridge failed, and doesn't say whether the input is wrong or its network is out of reach"

/** Like `refusal`, for the start of a login: without a network, bridges give no details. */
export function refusalOfStart(platform: string, status: number, json: unknown): GatewayError {
  const meaning = refusal(platform, status, json)
  if (meaning.code !== 'bridge_unavailable') return meaning
  const said = saying(json).error || `HTTP ${status}`
  const message = `the ${platform} bridge can't start a login, most likely as it can't reach its network (${said})`
  return new GatewayError('bridge_unavailable', message)
}

/** Like `refusal`, for calls about people: not_found then always means a missing person. */
export function refusalAboutPeople(platform: string, status: number, json: unknown): GatewayError {
  const { errcode, error } = saying(json)
  if (status === 404 && error === LOGIN_GONE)
    return new GatewayError('bridge_error', `the ${platform} bridge no longer has this login`)
  if (errcode === 'M_INVALID_PARAM') return new GatewayError('bad_request', error || errcode)
  return refusal(platform, status, json)
}

/** True if a bridge refuses whoami, a call every provisioning API has, for lack of an API. */
export function isWithoutApi(status: number, json: unknown): boolean {
  if (isUnknownUser(status, json)) return false
  return status === 404 || status === 405 || (status === 403 && /disabled/i.test(saying(json).error))
}

/** True when the bridge doesn't know whoami's user, who then has no login there. */
function isUnknownUser(status: number, json: unknown): boolean {
  const { errcode, error } = saying(json)
  return status === 404 && errcode === 'M_NOT_FOUND' && /\buser\b/i.test(error)
}

/** The bridge has no provisioning API, or none any more. */
export class NoProvisioningApi extends GatewayError {
  constructor(platform: string) {
    const name = `BRIDGE_${platform.toUpperCase()}`
    super(
      'bridge_error',
      `the ${platform} bridge has no provisioning API: switch it on, or name the bridge's bot with ${name}_BOT`,
    )
  }
}

/** Like `refusal`, for whoami: without the API only the bridge's bot is left. */
export function refusalOfWhoami(platform: string, status: number, json: unknown): GatewayError {
  return isWithoutApi(status, json) ? new NoProvisioningApi(platform) : refusal(platform, status, json)
}

/** True if the refusal says that the login exists, but on another step. */
export function isBadState(json: unknown): boolean {
  return saying(json).errcode === BAD_STATE
}

/** True if the bridge only stopped waiting: what the phone sends later is stored all the same. */
export function isStillFetching(json: unknown): boolean {
  return saying(json).errcode === BACKFILL_TIMEOUT
}

/** The refusal's words, or its code. */
export function wordsOf(status: number, json: unknown): string {
  const { errcode, error } = saying(json)
  return error || errcode || `HTTP ${status}`
}

/** Code and words in a refusal's body; empty where it has none. */
function saying(json: unknown): z.infer<typeof errorAnswer> {
  return errorAnswer.safeParse(json).data ?? { errcode: '', error: '' }
}
