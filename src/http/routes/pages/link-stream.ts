/**
 * Follows a link for its page by server-sent events (HTML Living Standard): `step` with the HTML to
 * show, `end` after the last. A slow reader gets the newest step and none in between.
 */

import type { Clock } from '../../../lib/clock.ts'
import type { Linking } from '../../../modules/devices/linking.ts'
import { Nudge } from '../../../runtime/worker.ts'
import type { TicketedLink } from './link-tickets.ts'
import { stepHtml } from './step.ts'

/** The token is checked as often, and a proxy sees a sign of life. */
const LOOK_MS = 2_000

export interface LinkStreamOptions {
  link: TicketedLink
  linking: Pick<Linking, 'get' | 'followOne'>
  /** Called when the stream is over. */
  leave(): void
  clock: Clock
}

export function followLink({ link, linking, leave, clock }: LinkStreamOptions): Response {
  const { identityId, linkId, readmit } = link
  const left = new AbortController()
  const changed = new Nudge()
  const unsubscribe = linking.followOne(identityId, linkId, () => changed.nudge())
  const over = () => {
    unsubscribe()
    leave()
  }
  let shown = ''

  /** @returns null when the link is gone, or the token that asked for it */
  async function next(): Promise<string | null> {
    await readmit()
    const view = linking.get(identityId, linkId)
    const step = (await stepHtml(view)).text
    const hasEnded = view.step.type === 'connected' || view.step.type === 'error'
    const news = step === shown ? ': still here\n\n' : event('step', step)
    shown = step
    if (!hasEnded) return news
    left.abort()
    return `${news}${event('end', '')}`
  }

  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (shown !== '') await changed.wait(clock, LOOK_MS, left.signal)
        const text = left.signal.aborted ? null : await next().catch(() => null)
        if (text !== null) controller.enqueue(new TextEncoder().encode(text))
        if (text !== null && !left.signal.aborted) return
        over()
        controller.close()
      },
      cancel() {
        left.abort()
        over()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, {
    headers: {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      'Referrer-Policy': 'no-referrer',
      'X-Accel-Buffering': 'no',
    },
  })
}

function event(name: string, data: string): string {
  return `event: ${name}\n${data
    .split('\n')
    .map(line => `data: ${line}\n`)
    .join('')}\n`
}
