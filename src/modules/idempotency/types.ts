/**
 * Requests that a caller may repeat without anything being done twice
 * (draft-ietf-httpapi-idempotency-key-header): the first answer to a key is kept for a day, and
 * given to every repeat.
 */
import type { Tx } from '../../db/transaction.ts'

/** A request whose caller gave it a key. */
export interface KeyedRequest {
  /** Whose key it is, such as `identity/<id>`: nobody else's request finds it. */
  holder: string
  key: string
  /** One-way, of what makes the request what it is: method, path and body. */
  fingerprint: string
}

export interface StoredAnswer {
  /** HTTP status. */
  status: number
  contentType: string
  body: string
}

/** Keeps the answer that a result comes to, in the transaction that made the result. */
export type Recorder<Result> = (tx: Tx, result: Result) => Promise<void>

/** The right to do what was asked for. Whoever has it settles it, whatever happens. */
export interface Claim {
  /**
   * Keeps the answer in the transaction that does the work: neither exists without the other.
   */
  record(tx: Tx, answer: StoredAnswer): Promise<void>
  /**
   * Keeps the answer unless `record` has, and lets repeats have it. Never rejects.
   * @param answer null if nothing was done that a repeat must not do: the next one is a first one
   */
  settle(answer: StoredAnswer | null): Promise<void>
}

export interface ClaimOptions {
  /**
   * True when the work is one transaction that calls `record`. Otherwise its beginning is noted:
   * after a crash nobody knows how far it came, and a repeat is told so.
   */
  atomic: boolean
}

export interface IdempotencyKeys {
  /**
   * A repeat that comes while the first one is under way waits for its answer.
   * @throws GatewayError unprocessable (the key stands for another request), conflict (the first
   * takes too long, or a crash cut it off), too_many_requests (the holder has too many keys)
   */
  claim(request: KeyedRequest, options: ClaimOptions): Promise<{ claim: Claim } | { answer: StoredAnswer }>
}
