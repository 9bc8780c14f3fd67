/** Checks of how clients reach the gateway: PUBLIC_URL leads here, and its certificate lasts. */
import { connect } from 'node:tls'
import { z } from 'zod'
import type { Clock } from '../../../lib/clock.ts'
import { connectionProblem } from '../../../lib/connection-problem.ts'
import { askPeer } from '../../../lib/peer-request.ts'
import { type Check, failure, type Outcome, ok, skipped, warning } from './doctor.ts'

const TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 64 * 1024
const DAY_MS = 86_400_000
/** A certificate that is renewed by itself is so a month before its end. */
const SOON_DAYS = 14

const health = z.object({ status: z.literal('ok'), version: z.string() })

/** @param publicUrl undefined: it isn't set */
export function publicUrlCheck(publicUrl: string | undefined, isRunning: boolean, clock: Clock): Check {
  return {
    subject: 'public URL',
    async run() {
      if (publicUrl === undefined) {
        return warning(
          'PUBLIC_URL is not set: links to files say localhost',
          'set PUBLIC_URL to what clients reach the gateway by',
        )
      }
      const findings = [isRunning ? await leadsHere(publicUrl) : skipped('the gateway doesn’t run')]
      if (publicUrl.startsWith('https:')) findings.push(await certificate(publicUrl, clock.now()))
      return findings
    },
  }
}

async function leadsHere(publicUrl: string): Promise<Outcome> {
  const advice =
    'does its name lead to this machine, and does the proxy or firewall let it through to HOST and PORT?'
  try {
    const asked = { signal: AbortSignal.timeout(TIMEOUT_MS) }
    const response = await askPeer(`${publicUrl}/health`, asked, MAX_ANSWER_BYTES)
    const body: unknown = await response.json().catch(() => null)
    if (health.safeParse(body).success) return ok(`${publicUrl} leads to a gateway`)
    return failure(`what answers at ${publicUrl} is no gateway (HTTP ${response.status})`, advice)
  } catch (error) {
    return failure(`${publicUrl} can't be reached from here (${connectionProblem(error)})`, advice)
  }
}

async function certificate(publicUrl: string, now: number): Promise<Outcome> {
  const unread = (why: string) =>
    failure(`the certificate of ${publicUrl} can't be read (${why})`, 'is TLS set up there?')
  try {
    const validTo = await endOfCertificate(new URL(publicUrl))
    return validTo === null ? unread('it shows none') : certificateFinding(validTo, now)
  } catch (error) {
    return unread(connectionProblem(error))
  }
}

export function certificateFinding(validTo: number, now: number): Outcome {
  const days = Math.floor((validTo - now) / DAY_MS)
  const advice = 'renew the certificate'
  if (validTo <= now) return failure(`the certificate ended on ${day(validTo)}`, advice)
  if (days < SOON_DAYS) return warning(`the certificate ends in ${days} days, on ${day(validTo)}`, advice)
  return ok(`the certificate is good until ${day(validTo)}`)
}

const day = (instant: number): string => new Date(instant).toISOString().slice(0, 10)

/** @returns when the certificate shown there ends, trusted or not; null: there is none */
function endOfCertificate({ hostname, port }: URL): Promise<number | null> {
  const host = hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host, port: Number(port || 443), servername: host, rejectUnauthorized: false, timeout: TIMEOUT_MS },
      () => {
        const validTo = Date.parse(socket.getPeerCertificate().valid_to)
        socket.destroy()
        resolve(Number.isNaN(validTo) ? null : validTo)
      },
    )
    socket.on('error', reject)
    socket.on('timeout', () => socket.destroy(new DOMException('no answer in time', 'TimeoutError')))
  })
}
