/**
 * Client secrets as argon2id hashes. A check takes tens of milliseconds and 19 MiB by design, so
 * only a few run at once, on Bun's thread pool, and a secret that proved right is remembered for a
 * minute.
 */
import { LRUCache } from 'lru-cache'
import pLimit from 'p-limit'
import { GatewayError } from '../../domain/errors.ts'
import type { Clock } from '../../lib/clock.ts'

/** OWASP's minimum for argon2id: 19 MiB, two passes. */
const ARGON2ID = { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 } as const

/** A hash that no secret matches, at the same cost, to compare secrets of unknown ids with. */
export const UNMATCHABLE_HASH =
  '$argon2id$v=19$m=19456,t=2,p=1$V4wKreYOmS51FaqqpIiOxcWSXe6hkrltFAygc6Zo2Mg$9EuwRIb6QX9zlaGJLC0g2zxKKv3je1sD+pP718HeTxk'

const MAX_RUNNING = 2
const MAX_WAITING = 64
const REMEMBERED_MS = 60_000
const MAX_REMEMBERED = 1_000

/**
 * Both calls throw GatewayError too_many_requests when too many checks wait already.
 * @param fingerprint a keyed one-way function: what is remembered must not be the secret itself
 */
export function createSecretHashing(fingerprint: (text: string) => string, clock: Clock) {
  const running = pLimit(MAX_RUNNING)
  const limit = async <T>(work: () => Promise<T>): Promise<T> => {
    if (running.pendingCount < MAX_WAITING) return running(work)
    throw new GatewayError('too_many_requests', 'Too many authentications at once, try again', 1)
  }
  const remembered = new LRUCache<string, number>({ max: MAX_REMEMBERED })
  return {
    hash: (secret: string) => limit(() => Bun.password.hash(secret, ARGON2ID)),
    async verify(secret: string, secretHash: string): Promise<boolean> {
      // The hash is part of the key, so a secret that was replaced is forgotten by itself.
      const key = fingerprint(`${secretHash}\n${secret}`)
      if ((remembered.get(key) ?? 0) > clock.steady()) return true
      const right = await limit(() => Bun.password.verify(secret, secretHash))
      if (right) remembered.set(key, clock.steady() + REMEMBERED_MS)
      return right
    },
  }
}
