/**
 * Requests that may be repeated. The first request is under way in this process (its repeat waits),
 * answered (its repeat gets that answer), or was begun by a process that was killed: nobody knows
 * how far it came, and its repeat is told so. Work that is one transaction is never in that state.
 */
import { GatewayError } from '../../domain/errors.ts'
import { type Clock, within } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Sealer } from '../../lib/sealing.ts'
import { createKeyCounts } from './key-counts.ts'
import type { IdempotencyRepository, KeyRow } from './repository.ts'
import type { Claim, IdempotencyKeys, KeyedRequest, StoredAnswer } from './types.ts'

export interface IdempotencyOptions {
  repository: IdempotencyRepository
  /** Keys that one holder may have at a time. */
  maxPerHolder: number
  sealer: Sealer
  clock: Clock
  logger: Logger
}

/** How long a key stands for its request, in milliseconds. */
export const REMEMBERED_MS = 24 * 3_600_000
/** How long a repeat waits for the first answer before it is sent away. */
const PATIENCE_MS = 30_000

interface UnderWay {
  fingerprint: string
  over: Promise<void>
}

export function createIdempotencyKeys(options: IdempotencyOptions): IdempotencyKeys {
  const { repository, maxPerHolder, sealer, clock, logger } = options
  const counts = createKeyCounts({ maxPerHolder, count: repository.count, clock })
  /** As many as there are requests under way. */
  const underWay = new Map<string, UnderWay>()

  /** Enters a request as the one under way. @returns what ends that */
  function enter(place: string, fingerprint: string): () => void {
    let end = () => {}
    const over = new Promise<void>(resolve => {
      end = resolve
    })
    underWay.set(place, { fingerprint, over })
    return () => {
      underWay.delete(place)
      end()
    }
  }

  /** @throws GatewayError conflict when nobody knows what became of the first one */
  function answerOf(row: KeyRow): StoredAnswer {
    if (row.answerSealed === null) throw outcomeUnknown()
    try {
      return JSON.parse(sealer.open(row.answerSealed, sealingContext(row)))
    } catch (error) {
      // Sealed under another SECRET_KEY: what was asked for was done, and can't be told any more.
      logger.warn({ err: error, holder: row.holder }, 'the answer to an Idempotency-Key could not be opened')
      throw answerLost()
    }
  }

  function claimFor(request: KeyedRequest, atomic: boolean, end: () => void): Claim {
    const begunAt = clock.now()
    const seal = (answer: StoredAnswer) => sealer.seal(JSON.stringify(answer), sealingContext(request))
    let recorded = false
    return {
      record(tx, answer) {
        recorded = true
        return repository.record(tx, request, seal(answer), begunAt)
      },
      async settle(answer) {
        try {
          // If the transaction that was to hold the answer failed, the answer isn't kept.
          if (answer && !recorded) await repository.keep(request, seal(answer), begunAt)
          else if (!answer) {
            counts.leave(request.holder)
            if (!atomic) await repository.release(request)
          }
        } catch (error) {
          // The work is done; a repeat will be told that nobody knows.
          logger.error(
            { err: error, holder: request.holder },
            'the answer to an Idempotency-Key could not be kept',
          )
        } finally {
          end()
        }
      },
    }
  }

  return {
    async claim(request, { atomic }) {
      const { holder, key, fingerprint } = request
      const place = `${holder}\n${key}`
      const deadline = clock.steady() + PATIENCE_MS
      for (let first = underWay.get(place); first; first = underWay.get(place)) {
        refuseAnother(first, fingerprint)
        if (clock.steady() >= deadline) throw stillUnderWay()
        await within(clock, deadline - clock.steady(), first.over)
      }
      // Nothing is awaited since the last look, so only one of those that waited goes on.
      const end = enter(place, fingerprint)
      try {
        const known = await repository.find(holder, key, clock.now() - REMEMBERED_MS)
        if (!known) {
          await counts.enter(holder)
          if (!atomic) await repository.begin(request, clock.now())
          return { claim: claimFor(request, atomic, end) }
        }
        refuseAnother(known, fingerprint)
        const answer = answerOf(known)
        end()
        return { answer }
      } catch (error) {
        end()
        throw error
      }
    },
  }
}

/** Binds a sealed answer to its key. */
function sealingContext({ holder, key }: Pick<KeyedRequest, 'holder' | 'key'>): string {
  return `idempotency-key:${holder}/${key}`
}

function refuseAnother(known: { fingerprint: string }, fingerprint: string): void {
  if (known.fingerprint === fingerprint) return
  throw new GatewayError(
    'unprocessable',
    'Idempotency-Key: stands for another request already; expected the same method, path and body, or a new key',
  )
}

function stillUnderWay(): GatewayError {
  const message = 'Idempotency-Key: the first request with this key is still under way'
  return new GatewayError('conflict', message, 1)
}

function answerLost(): GatewayError {
  return new GatewayError(
    'conflict',
    'Idempotency-Key: what the first request with this key asked for was done, but its answer was sealed under an earlier SECRET_KEY',
  )
}

function outcomeUnknown(): GatewayError {
  return new GatewayError(
    'conflict',
    'Idempotency-Key: the gateway was stopped while it worked on the first request with this key, and does not know how far it came; ' +
      'see what is there before you ask again with a new key',
  )
}
