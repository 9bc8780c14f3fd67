/**
 * Bounds the memory that requests under way take together, and the share of each token's identity
 * or credential. A request takes a little at once, and memory for its body as that comes in; when
 * none is left it is refused until others are answered. Messages in the queue take none: they are
 * on the disk.
 *
 * Announced sizes count for nothing: whoever announces much and sends nothing would keep everybody
 * else out.
 */
import { GatewayError } from '../domain/errors.ts'
import type { RefusalReason } from '../domain/observation.ts'
import { Tally } from '../lib/tally.ts'
import { createTimeLimit, type TimeLimit } from '../lib/time-limit.ts'
import { httpErrorOf } from './error-answers.ts'
import { noteRequest } from './request-notes.ts'

export interface InFlight {
  /** Has a request answered if it fits. @throws HttpError 429 */
  within(request: Request, answer: () => Response | Promise<Response>): Promise<Response>
}

/** The memory of one request, for those who read its body. */
export interface MemoryBudget {
  /** How long a body that is read as a whole may take to come in. */
  readonly bodyLimit: TimeLimit
  /**
   * Counts it for who made it from now on.
   * @throws GatewayError too_many_requests
   */
  chargeTo(payer: string): void
  /**
   * Takes memory for the part of the body that has come in, in bytes.
   * @throws GatewayError too_many_requests
   */
  hold(bodyBytes: number): void
}

export interface InFlightOptions {
  /** For all requests under way together. */
  maxBytes?: number | undefined
  bodyMs?: number | undefined
}

const MAX_BYTES_IN_FLIGHT = 128 * 1024 * 1024
/** One payer has this part of it at most, so that it takes several to keep others out. */
const SHARES = 8
/** A request takes as much beside its body. */
const BASE_BYTES = 8 * 1024
/** An upload takes at most as much beside its fields, as it is on its way to the disk. */
export const MAX_UPLOAD_BYTES_HELD = 256 * 1024
const BODY_MS = 10_000
const RETRY_AFTER_S = 1
const TOO_MANY = 'Too many requests are under way'
const TOO_MANY_OF_ONE = 'This token or credential has too many requests under way'

const budgets = new WeakMap<Request, MemoryBudget>()
/** Requests that have no body, as a rule, aren't counted. */
const UNCOUNTED: MemoryBudget = {
  bodyLimit: createTimeLimit(BODY_MS),
  chargeTo: () => undefined,
  hold: () => undefined,
}

export function budgetOf(request: Request): MemoryBudget {
  return budgets.get(request) ?? UNCOUNTED
}

export function createInFlight({
  maxBytes = MAX_BYTES_IN_FLIGHT,
  bodyMs = BODY_MS,
}: InFlightOptions): InFlight {
  const pool: Pool = { maxBytes, bytes: 0, shares: new Tally(), bodyLimit: createTimeLimit(bodyMs) }
  return {
    async within(request, answer) {
      const budget = new RequestBudget(pool, request)
      try {
        budget.take(BASE_BYTES)
      } catch (error) {
        throw error instanceof GatewayError ? httpErrorOf(error) : error
      }
      budgets.set(request, budget)
      try {
        return await answer()
      } finally {
        budget.close()
      }
    },
  }
}

/** The memory of all requests under way. */
interface Pool {
  readonly maxBytes: number
  bytes: number
  readonly shares: Tally
  readonly bodyLimit: TimeLimit
}

class RequestBudget implements MemoryBudget {
  private payer: string | undefined
  private taken = 0
  private isClosed = false

  constructor(
    private readonly pool: Pool,
    private readonly request: Request,
  ) {}

  get bodyLimit(): TimeLimit {
    return this.pool.bodyLimit
  }

  /** @throws GatewayError too_many_requests */
  take(more: number): void {
    if (this.isClosed) throw new Error('the request was answered before its body was read')
    if (this.pool.bytes + more > this.pool.maxBytes) throw this.refused('memory', TOO_MANY)
    if (this.payer !== undefined) this.charge(this.payer, more)
    this.pool.bytes += more
    this.taken += more
  }

  hold(bodyBytes: number): void {
    const more = BASE_BYTES + bodyBytes - this.taken
    if (more > 0) this.take(more)
  }

  chargeTo(payer: string): void {
    if (this.payer !== undefined) return
    this.charge(payer, this.taken)
    this.payer = payer
  }

  close(): void {
    this.isClosed = true
    this.pool.bytes -= this.taken
    if (this.payer !== undefined) this.pool.shares.add(this.payer, -this.taken)
  }

  private charge(payer: string, more: number): void {
    const { shares, maxBytes } = this.pool
    if (shares.of(payer) + more > maxBytes / SHARES) throw this.refused('share_of_memory', TOO_MANY_OF_ONE)
    shares.add(payer, more)
  }

  private refused(refusal: RefusalReason, what: string): GatewayError {
    noteRequest(this.request, { refusal })
    return tooMany(what)
  }
}

function tooMany(what: string): GatewayError {
  return new GatewayError('too_many_requests', `${what}. Nothing of this one was done`, RETRY_AFTER_S)
}
