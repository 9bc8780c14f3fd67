/** Makes webhook endpoints misbehave. After a 410, the owner switches the endpoint on again. */
import { call } from '../load/calls.ts'
import type { HookedEndpoint } from '../load/endpoint.ts'
import { type Injected, pause } from '../phase.ts'
import type { EndpointFault, Timed } from '../plan.ts'

export async function runEndpointTrack(
  url: string,
  hooked: HookedEndpoint,
  faults: readonly Timed<EndpointFault>[],
  injected: Injected,
  signal: AbortSignal,
): Promise<void> {
  for (const { kind, afterMs, forMs } of faults) {
    await pause(afterMs, signal)
    if (signal.aborted) break
    hooked.endpoint.behaviour = kind
    injected.add(`endpoint ${kind}`)
    await pause(forMs, signal)
    hooked.endpoint.behaviour = 'well'
    if (kind === '410') await switchOn(url, hooked)
  }
  hooked.endpoint.behaviour = 'well'
}

/** Resolves when the gateway has switched the webhook on. */
export async function switchOn(url: string, { token, webhookId }: HookedEndpoint): Promise<void> {
  for (;;) {
    const answer = await call('PUT', `${url}/api/v1/webhooks/${webhookId}`, { token, body: { active: true } })
    if (answer?.status === 200) return
    await Bun.sleep(300)
  }
}

/** Replays events missed while the webhook was off, as its owner does. */
export async function replayMissed(url: string, { token, webhookId }: HookedEndpoint): Promise<void> {
  // The range covers everything, as the clock that dates events was set ahead and back.
  const body = { since: '2020-01-01T00:00:00Z', until: '2100-01-01T00:00:00Z' }
  for (;;) {
    const answer = await call('POST', `${url}/api/v1/webhooks/${webhookId}/replay`, { token, body })
    if (answer?.status === 202) return
    if (answer !== null && answer.status < 500) throw new Error(`no replay: ${JSON.stringify(answer.body)}`)
    await Bun.sleep(300)
  }
}
