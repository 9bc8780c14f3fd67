/** Where the events of our users come from: pushed to us as an application service, or fetched by a /sync for each identity. */
import type { EventSink, SyncPosition } from '../domain/ports.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { createAppserviceSource } from '../matrix/appservice-source.ts'
import { createSyncManager } from '../matrix/sync/sync-manager.ts'
import type { Worker } from '../runtime/worker.ts'
import type { Matrix } from './matrix-side.ts'
import type { PartState } from './readiness.ts'

export interface EventSource {
  workers: Worker[]
  /** What the homeserver pushes to; undefined: nothing is pushed. */
  fetch: ((request: Request) => Promise<Response>) | undefined
  /** Identities were made or retired. */
  nudge(): void
  state(): PartState
}

export function createEventSource(
  { appservice, calls }: Matrix,
  parts: { sink: EventSink; positions(): Promise<SyncPosition[]>; clock: Clock; logger: Logger },
): EventSource {
  if (appservice) {
    const { hsToken, link } = appservice
    return {
      workers: link ? [link.worker] : [],
      fetch: createAppserviceSource({ hsToken, sink: parts.sink, logger: parts.logger }).fetch,
      nudge: () => undefined,
      state: () => {
        const failure = link?.failure() ?? null
        return { isReady: failure === null, told: failure ?? 'ok' }
      },
    }
  }
  const sync = createSyncManager({ calls, ...parts })
  return {
    workers: [sync.worker],
    fetch: undefined,
    nudge: sync.nudge,
    state: () => {
      const { loops, failing, failure } = sync.health()
      if (failing === 0) return { isReady: true, told: 'ok' }
      // One account that doesn't work is its owner's trouble; all of them are the gateway's.
      return {
        isReady: failing < loops,
        told: `/sync fails for ${failing} of ${loops} identities: ${failure}`,
      }
    },
  }
}
