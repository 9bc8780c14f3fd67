/** Examines a bridge from outside, to diagnose problems. Throws nothing. */
import { connectionProblem } from '../lib/connection-problem.ts'
import { askPeer, streamFromPeer } from '../lib/peer-request.ts'
import { whoamiAnswer } from './provisioning-answers.ts'
import { isWithoutApi, wordsOf } from './provisioning-errors.ts'

export type WhoamiOutcome =
  | { kind: 'accepted'; network: string; flows: string[]; bot: string | null }
  /** The bridge has no provisioning API, or it is switched off: only its bot takes commands. */
  | { kind: 'no_api' }
  | { kind: 'refused'; detail: string }
  | { kind: 'failed'; detail: string }

export type BridgeProbe = ReturnType<typeof createBridgeProbe>

const TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 1024 * 1024

/** True when anything there answers HTTP, whatever the answer. */
export async function isAnswering(baseUrl: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await streamFromPeer(`${baseUrl}/_matrix/mau/live`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      tls: { rejectUnauthorized: false },
    })
    await response.body?.cancel()
    return true
  } catch {
    return false
  }
}

/** @param baseUrl without a trailing slash */
export function createBridgeProbe(baseUrl: string) {
  const get = (path: string, headers: Record<string, string> = {}) =>
    askPeer(baseUrl + path, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) }, MAX_ANSWER_BYTES)

  return {
    /** Finds out whether anything answers there, and whether it is a mautrix bridge. */
    async reach(): Promise<{ isBridge: boolean } | { error: string }> {
      try {
        return { isBridge: (await get('/_matrix/mau/live')).ok }
      } catch (error) {
        return { error: connectionProblem(error) }
      }
    },

    /** @param userId of our server; a bridge that doesn't know the user records it */
    async whoami(secret: string, userId: string): Promise<WhoamiOutcome> {
      try {
        const path = `/_matrix/provision/v3/whoami?user_id=${encodeURIComponent(userId)}`
        const response = await get(path, { authorization: `Bearer ${secret}` })
        const body: unknown = await response.json().catch(() => null)
        return response.ok ? accepted(body) : refused(response.status, body)
      } catch (error) {
        return { kind: 'failed', detail: connectionProblem(error) }
      }
    },
  }
}

function accepted(body: unknown): WhoamiOutcome {
  const parsed = whoamiAnswer.safeParse(body)
  if (!parsed.success) return { kind: 'failed', detail: 'it answers something else than a bridge does' }
  const { network, login_flows: flows, bridge_bot: bot } = parsed.data
  return {
    kind: 'accepted',
    network: network.displayname || 'its network',
    flows: flows.map(({ id }) => id),
    bot: bot ?? null,
  }
}

function refused(status: number, body: unknown): WhoamiOutcome {
  if (isWithoutApi(status, body)) return { kind: 'no_api' }
  return { kind: status === 401 || status === 403 ? 'refused' : 'failed', detail: wordsOf(status, body) }
}
