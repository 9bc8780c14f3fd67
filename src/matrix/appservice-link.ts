/**
 * Watches the link to an external homeserver as its application service: asks it who we are and has
 * it ping us. Synapse waits up to 512 seconds after a push without an answer; a ping makes it go on
 * at once (application service API, "Pinging").
 */
import { messageOf } from '../domain/errors.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { every } from '../runtime/worker.ts'
import type { AccountAccess } from './account-access.ts'
import type { HomeserverProbe, PingOutcome } from './homeserver-probe.ts'
import type { LookBack } from './look-back.ts'

/** Milliseconds between checks while all is well: problems show without traffic. */
const INTERVAL_MS = 15_000
const RETRY = { baseMs: 500, capMs: 15_000 }

export function createAppserviceLink(options: {
  probe: Pick<HomeserverProbe, 'ping' | 'whoami'>
  asToken: string
  /** The id of our registration. */
  appserviceId: string
  serverName: string
  /** Learns whether the as_token is accepted. */
  access: Pick<AccountAccess, 'accepted' | 'refused' | 'trouble'>
  /** Learns when events reach us for the first time, and whenever they do again. */
  lookBack: Pick<LookBack, 'reached'>
  clock: Clock
  logger: Logger
}) {
  const { probe, asToken, appserviceId, serverName, access, lookBack, clock, logger } = options
  const ourAccess = { accessToken: asToken, query: {} }
  let failure: string | null = null
  let hasAsked = false
  let failures = 0

  /** @returns what is wrong, null when nothing is */
  async function problem(): Promise<string | null> {
    const outcome = await probe.ping(appserviceId, asToken)
    if (outcome.kind === 'unknown_token') return refused('M_UNKNOWN_TOKEN')
    if (outcome.kind === 'failed') return `the homeserver can't be reached (${outcome.detail})`
    const who = await probe.whoami(asToken)
    if ('refusal' in who) return refused(who.refusal)
    if ('error' in who) return `the homeserver can't be reached (${who.error})`
    access.accepted(who.userId, ourAccess)
    if (!who.userId.endsWith(`:${serverName}`))
      return `MATRIX_SERVER_NAME is "${serverName}", and the homeserver's name is "${who.userId.replace(/^@[^:]*:/, '')}"`
    return pingProblem(outcome)
  }

  function pingProblem(outcome: PingOutcome): string | null {
    switch (outcome.kind) {
      case 'other_registration':
        return `MATRIX_AS_TOKEN is the as_token of another registration than "${appserviceId}"`
      case 'no_url':
        return "the url of our registration at the homeserver is null: events can't be pushed"
      case 'refused':
        return `the homeserver reaches the url of our registration, and what answers there refuses it: is MATRIX_HS_TOKEN the hs_token of the registration? (${outcome.detail})`
      case 'no_ping':
      case 'strange':
        return `the homeserver reaches the url of our registration, and what answers there isn't this gateway (${outcome.detail})`
      case 'unreachable':
        return `the homeserver can't reach us at the url of our registration (${outcome.detail})`
      default:
        // From before there were pings, whether it reaches us shows when it pushes.
        return null
    }
  }

  function refused(reason: string): Promise<string | null> {
    return access.refused('', ourAccess, reason).then(() => null, messageOf)
  }

  /** Asks the homeserver once. @returns whether events reach us */
  async function check(): Promise<boolean> {
    const found = await problem()
    // The refusal of the as_token is already logged.
    if (found !== null && found !== failure && found !== access.trouble(''))
      logger.error({ registration: appserviceId }, found)
    if (found === null && (failure !== null || !hasAsked)) {
      logger.info('the homeserver knows us and reaches us')
      lookBack.reached()
    }
    failure = found
    hasAsked = true
    return found === null
  }

  async function tick(): Promise<number> {
    failures = (await check()) ? 0 : failures + 1
    return failures === 0 ? INTERVAL_MS : backoffMs(failures, RETRY)
  }

  return {
    check,
    /** The link's problem; null while there is none, or before the first check. */
    failure: () => failure,
    worker: every('matrix-appservice', INTERVAL_MS, tick, { clock }),
  }
}
