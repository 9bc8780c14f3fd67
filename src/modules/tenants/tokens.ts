/**
 * Tokens: Bearer keys (mt_…) to an identity.
 * `createTokens({ db, identities, hasher, clock })`
 */
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { Db } from '../../db/open.ts'
import type { Tx } from '../../db/transaction.ts'
import { GatewayError } from '../../domain/errors.ts'
import type { TokenPage, TokenView } from '../../domain/views/token.ts'
import { type Clock, rfc3339 } from '../../lib/clock.ts'
import { instantIn } from '../../lib/instant.ts'
import { jsonOrNull } from '../../lib/json-or-null.ts'
import { randomToken } from '../../lib/tokens.ts'
import { every } from '../../runtime/worker.ts'
import type { Recorder } from '../idempotency/types.ts'
import type { Principal } from './credentials.ts'
import type { Identities } from './identities.ts'
import {
  createTokenRepository,
  type ListedToken,
  type NewToken,
  type Ownership,
  placeOf,
  type TokenPlace,
} from './token-repository.ts'

/** Who calls with a token. */
export interface TokenHolder {
  tokenId: number
  identity: { id: string; matrixUserId: string }
  isAdmin: boolean
}

interface TokenInput {
  credential: Principal
  useHost?: boolean | undefined
  /** RFC 3339 with an offset, in the future. */
  expiresAt?: string | undefined
  record?: Recorder<string> | undefined
}

export interface TokensOptions {
  db: Pick<Db, 'read' | 'write' | 'signals'>
  identities: Pick<Identities, 'prepare'>
  /** Keyed one-way function (createHmacHasher), under a key of its own. */
  hasher: (text: string) => string
  /** The same under the key before: a token found by it is hashed anew. */
  previousHasher?: ((text: string) => string) | undefined
  /** Draws the number that may become a token's id; by default at random. */
  randomId?: () => number
  clock: Clock
}

const TOKEN_PATTERN = /^mt_[A-Za-z0-9_-]{43}$/
/** How long a token counts as valid without a look: another process may have deleted it. */
const REMEMBERED_MS = 5_000
const MAX_REMEMBERED = 10_000
const USAGE_INTERVAL_MS = 5_000
/** Tokens read in one go, and those whose use is noted in one: a few milliseconds. */
const LIST_STEP = 200
const USAGE_STEP = 500
const CLEANUP_INTERVAL_MS = 3_600_000

export type Tokens = ReturnType<typeof createTokens>

export function createTokens(options: TokensOptions) {
  const { db, identities, hasher, previousHasher, randomId, clock } = options
  const repository = createTokenRepository(db, randomId)
  /** `until` is of the steady clock, so that setting the clock makes no deleted token last. */
  const remembered = new LRUCache<string, { holder: TokenHolder; until: number; expiresAt: number }>({
    max: MAX_REMEMBERED,
  })
  let usedAt = new Map<number, number>()
  db.signals.on('credential-changed', () => remembered.clear())

  async function flushUsage(): Promise<void> {
    if (usedAt.size === 0) return
    const flushed = usedAt
    usedAt = new Map()
    const used = [...flushed]
    while (used.length > 0) await repository.recordUse(used.splice(-USAGE_STEP))
  }

  async function find(token: string) {
    const found = await repository.findByHash(hasher(token))
    if (found || !previousHasher) return found
    const old = await repository.findByHash(previousHasher(token))
    if (old) await repository.setHash(old.id, hasher(token))
    return old
  }

  async function lookUp(token: string, now: number): Promise<TokenHolder> {
    const found = TOKEN_PATTERN.test(token) ? await find(token) : null
    if (!found) throw new GatewayError('forbidden', 'This token is unknown')
    if (found.expiresAt !== null && found.expiresAt <= now) {
      throw new GatewayError('forbidden', 'This token has expired')
    }
    if (found.credentialActive === false) {
      throw new GatewayError('forbidden', "This token's credential is not active")
    }
    const holder: TokenHolder = {
      tokenId: found.id,
      identity: { id: found.identityId, matrixUserId: found.matrixUserId },
      isAdmin: found.isAdmin,
    }
    const until = clock.steady() + REMEMBERED_MS
    remembered.set(token, { holder, until, expiresAt: found.expiresAt ?? Infinity })
    return holder
  }

  return {
    /**
     * The first token that a super admin makes is the admin's, and its identity the host.
     * `useHost` shares the host identity; otherwise each token gets an identity of its own.
     * @returns its id, and the token, which is shown this once
     * @throws GatewayError bad_request (expires_at, or use_host before there is an admin),
     * forbidden (use_host without super_admin), homeserver_unavailable, homeserver_error
     */
    async create({
      credential,
      useHost = false,
      expiresAt,
      record,
    }: TokenInput): Promise<{ id: number; token: string }> {
      const now = clock.now()
      const token = randomToken('mt_')
      const row: NewToken = {
        tokenHash: hasher(token),
        credentialId: credential.clientId,
        expiresAt: expiresAt === undefined ? null : parseExpiry(expiresAt, now),
        createdAt: now,
        updatedAt: now,
      }
      const onStored = async (tx: Tx) => record?.(tx, token)
      const mayHost = credential.role === 'super_admin'
      if (!useHost) {
        const identity = await identities.prepare()
        return { id: await repository.insertWithIdentity(row, identity, mayHost, onStored), token }
      }
      if (!mayHost) {
        throw new GatewayError('forbidden', 'use_host: needs a super_admin credential')
      }
      const id = await repository.insertForHost(row, onStored)
      if (id === null) {
        throw new GatewayError(
          'bad_request',
          'use_host: no super admin has a token yet, create the first one with use_host false',
        )
      }
      return { id, token }
    },

    /**
     * Lists the credential's own tokens, and for a super admin those of no credential, too; oldest
     * first, some at a time.
     */
    async *list(credential: Principal): AsyncGenerator<TokenView[]> {
      await flushUsage()
      const ownership = ownershipOf(credential)
      let beyond: TokenPlace | null = null
      for (;;) {
        const found: ListedToken[] = await repository.page(ownership, 'oldest first', beyond, LIST_STEP)
        yield found.map(viewOf)
        const last = found.at(-1)
        if (!last || found.length < LIST_STEP) return
        beyond = placeOf(last)
      }
    },

    /**
     * The same, newest first and a page at a time.
     * @param cursor `next` of the page before
     * @returns `next` null at the end. @throws GatewayError bad_request for another list's cursor
     */
    async page(credential: Principal, limit: number, cursor: string | undefined): Promise<TokenPage> {
      const place = cursor === undefined ? null : placeIn(cursor)
      await flushUsage()
      // One more tells whether there is a next page.
      const found = await repository.page(ownershipOf(credential), 'newest first', place, limit + 1)
      const shown = found.slice(0, limit)
      const last = found.length > limit ? shown.at(-1) : undefined
      return { data: shown.map(viewOf), next: last ? cursorOf(placeOf(last)) : null }
    },

    /** @throws GatewayError not_found: also for a token that `list` wouldn't show */
    async remove(credential: Principal, id: number): Promise<void> {
      const removed = await repository.remove(ownershipOf(credential), id)
      if (!removed) throw new GatewayError('not_found', `There is no token ${id}`)
      remembered.clear()
    },

    /** @throws GatewayError forbidden: unknown, expired, or of a credential that isn't active */
    async authenticate(token: string): Promise<TokenHolder> {
      const now = clock.now()
      const known = remembered.get(token)
      const isFresh = known && clock.steady() < known.until && now < known.expiresAt
      const holder = isFresh ? known.holder : await lookUp(token, now)
      usedAt.set(holder.tokenId, now)
      return holder
    },

    /** Deletes expired tokens hourly. */
    cleanup: { ...every('token-cleanup', CLEANUP_INTERVAL_MS, cleanUp, { clock }), tick: cleanUp },

    /** Writes last_used_at of the tokens used, every few seconds and when it stops. */
    usage: {
      ...every('token-usage', USAGE_INTERVAL_MS, flushUsage, { clock, end: flushUsage }),
      tick: flushUsage,
    },
  }

  async function cleanUp(): Promise<void> {
    await repository.endUsersHost()
    await repository.removeExpired(clock.now())
  }
}

/**
 * @returns `expires_at` in milliseconds since the Unix epoch
 * @throws GatewayError bad_request when it is malformed or not after `now`
 */
function parseExpiry(text: string, now: number): number {
  const instant = instantIn(text)
  if (instant === null) {
    throw new GatewayError(
      'bad_request',
      'expires_at: expected an RFC 3339 time with an offset, such as 2026-12-31T23:59:59Z',
    )
  }
  if (instant <= now) throw new GatewayError('bad_request', 'expires_at: expected a time in the future')
  return instant
}

function ownershipOf({ clientId, role }: Principal): Ownership {
  return { clientId, orphans: role === 'super_admin' }
}

function viewOf(token: ListedToken): TokenView {
  return {
    id: token.id,
    matrix_username: token.matrixUserId,
    matrix_device_id: token.matrixDeviceId,
    is_admin: token.isAdmin,
    expires_at: token.expiresAt === null ? null : rfc3339(token.expiresAt),
    last_used_at: token.lastUsedAt === null ? null : rfc3339(token.lastUsedAt),
    created_at: rfc3339(token.createdAt),
    updated_at: rfc3339(token.updatedAt),
  }
}

const tokenPlace = z.tuple([z.number(), z.string(), z.number()])

/** A position in the list for the API: opaque to clients, and valid however the list changes. */
function cursorOf(place: TokenPlace): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url')
}

/** @throws GatewayError bad_request when it is no position of the list */
function placeIn(cursor: string): TokenPlace {
  const place = tokenPlace.safeParse(jsonOrNull(Buffer.from(cursor, 'base64url').toString()))
  if (place.success) return place.data
  throw new GatewayError('bad_request', 'cursor: expected `next` of an answer of this list')
}
