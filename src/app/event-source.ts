/**
 * Sources of our users' events: pushed to us as an application service, or a /sync for each
 * identity.
 */
import type { EventSink, SyncPosition } from '../domain/ports.ts'
import { createAppserviceLink } from '../matrix/appservice-link.ts'
import { createAppserviceSource } from '../matrix/appservice-source.ts'
import { createHomeserverProbe } from '../matrix/homeserver-probe.ts'
import { createHomeserverWatch } from '../matrix/homeserver-watch.ts'
import { createLookBack } from '../matrix/look-back.ts'
import type { RoomEventSink } from '../matrix/room-event.ts'
import { createSyncManager, type SyncHealth } from '../matrix/sync/sync-manager.ts'
import { translated } from '../matrix/translate/facts.ts'
import { createIdentityRepository } from '../modules/tenants/identity-repository.ts'
import type { Worker } from '../runtime/worker.ts'
import { GATEWAY_APPSERVICE_ID } from './bridge-attachment.ts'
import type { AppContext } from './context.ts'
import type { Matrix } from './matrix.ts'
import type { PartState } from './readiness.ts'

export interface EventSource {
  workers: Worker[]
  /** Takes what the homeserver pushes; undefined: nothing is pushed. */
  fetch: ((request: Request) => Promise<Response>) | undefined
  /** True for the token that the homeserver shows when it pushes. */
  isRightToken(token: string): boolean
  /** Null while nothing tells: there is no identity to ask for. */
  state(): PartState | null
  /** The state of the /sync loops; null where events are pushed. */
  health(): SyncHealth | null
}

interface SourceParts extends Pick<AppContext, 'signals' | 'clock' | 'logger'> {
  sink: RoomEventSink
  positions(): Promise<SyncPosition[]>
}

export function createEventSource(
  { config, db, signals, clock, logger }: AppContext,
  { appservice, calls }: Pick<Matrix, 'appservice' | 'calls'>,
  sink: EventSink,
): EventSource {
  const parts: SourceParts = {
    sink: translated(sink, logger),
    positions: createIdentityRepository(db).syncPositions,
    signals,
    clock,
    logger,
  }
  if (!appservice) return createSyncSource(calls, parts)
  const { asToken, hsToken, access, isExternal } = appservice
  // The embedded homeserver keeps nothing back, and is never out of reach.
  const lookBack = isExternal ? createLookBack({ calls, ...parts }) : undefined
  const link =
    lookBack &&
    createAppserviceLink({
      probe: createHomeserverProbe(config.matrix.homeserverUrl ?? ''),
      asToken,
      appserviceId: GATEWAY_APPSERVICE_ID,
      serverName: config.matrix.serverName,
      access,
      lookBack,
      clock,
      logger,
    })
  const pushed = createAppserviceSource({ hsToken, lookBack, ...parts })
  return {
    workers:
      lookBack && link
        ? [link.worker, createHomeserverWatch({ calls, lookBack, ...parts }), lookBack.worker]
        : [],
    fetch: pushed.fetch,
    isRightToken: pushed.isRightToken,
    state: () => {
      const failure = link?.failure() ?? null
      return { isReady: failure === null, detail: failure ?? 'ok' }
    },
    health: () => null,
  }
}

function createSyncSource(calls: Matrix['calls'], parts: SourceParts): EventSource {
  const sync = createSyncManager({ calls, ...parts })
  return {
    workers: [sync.worker],
    fetch: undefined,
    isRightToken: () => false,
    health: sync.health,
    state: () => {
      const { loops, failing, failure } = sync.health()
      if (loops === 0) return null
      if (failing === 0) return { isReady: true, detail: 'ok' }
      // One account that doesn't work is its owner's trouble; all of them are the gateway's.
      return {
        isReady: failing < loops,
        detail: `/sync fails for ${failing} of ${loops} identities: ${failure}`,
      }
    },
  }
}
