/** The registered appservices: who they are, whom they own, and who must be told of an event. */

import { LRUCache } from 'lru-cache'
import { streamFromPeer } from '../lib/peer-request.ts'
import { tokenHash } from './identifiers.ts'
import type { JsonObject } from './json.ts'
import { CompiledNamespaces, type Namespaces } from './namespaces.ts'
import type { AppserviceRow } from './store/appservices.ts'

/** @see https://spec.matrix.org/v1.12/application-service-api/#registration */
export interface AppserviceRegistration {
  id: string
  /** Where it is reached; null when it is not (or `deliver` is given). */
  url: string | null
  /** The appservice's own token for the client-server API. */
  asToken: string
  /** The homeserver's token for the appservice. */
  hsToken: string
  senderLocalpart: string
  namespaces: Namespaces
  receiveEphemeral?: boolean
  /** In-process delivery instead of HTTP to `url`: gets the very request, with `Authorization: Bearer <hsToken>`. */
  deliver?: (request: Request) => Promise<Response>
  /** Resolves when it may be sent a transaction, or when the signal aborts; by default at once. */
  untilReady?: (signal: AbortSignal) => Promise<void>
}

/** How a registered appservice is reached. Not stored: after a restart nothing is pushed until it is registered again. */
export interface Delivery {
  url: string | null
  hsToken: string
  deliver: ((request: Request) => Promise<Response>) | undefined
  untilReady?: ((signal: AbortSignal) => Promise<void>) | undefined
}

export interface Appservice {
  readonly num: number
  readonly id: string
  readonly senderUserId: string
  readonly tokenHash: string
  readonly namespaces: CompiledNamespaces
  readonly receiveEphemeral: boolean
  readonly hasRoomNamespaces: boolean
  readonly delivery: Delivery | undefined
}

const USER_CACHE = 20_000

export class Appservices {
  private byNum = new Map<number, Appservice>()
  private readonly byToken = new Map<string, Appservice>()
  private readonly interested = new LRUCache<string, readonly number[]>({ max: USER_CACHE })
  /** Grows whenever namespaces change, so that what was derived from them is derived again. */
  version = 0

  constructor(
    private readonly serverName: string,
    rows: AppserviceRow[],
  ) {
    for (const row of rows) this.put(row, undefined)
  }

  put(row: AppserviceRow, delivery: Delivery | undefined): Appservice {
    const senderUserId = `@${row.sender_localpart}:${this.serverName}`
    const namespaces = JSON.parse(row.namespaces) as Namespaces
    const appservice: Appservice = {
      num: row.num,
      id: row.id,
      senderUserId,
      tokenHash: row.as_token_hash,
      namespaces: new CompiledNamespaces(namespaces, senderUserId),
      receiveEphemeral: row.receive_ephemeral === 1,
      hasRoomNamespaces: (namespaces.rooms?.length ?? 0) + (namespaces.aliases?.length ?? 0) > 0,
      delivery,
    }
    this.byNum.set(row.num, appservice)
    this.changed()
    return appservice
  }

  remove(id: string): Appservice | undefined {
    const found = this.byId(id)
    if (!found) return undefined
    this.byNum.delete(found.num)
    this.changed()
    return found
  }

  private changed(): void {
    this.version++
    this.interested.clear()
    this.byToken.clear()
  }

  all(): Iterable<Appservice> {
    return this.byNum.values()
  }

  byId(id: string): Appservice | undefined {
    for (const appservice of this.byNum.values()) if (appservice.id === id) return appservice
    return undefined
  }

  get(num: number): Appservice | undefined {
    return this.byNum.get(num)
  }

  /** The appservice that the token belongs to. Only right tokens are remembered. */
  authenticate(token: string): Appservice | undefined {
    const known = this.byToken.get(token)
    if (known) return known
    const hash = tokenHash(token)
    for (const appservice of this.byNum.values()) {
      if (appservice.tokenHash !== hash) continue
      this.byToken.set(token, appservice)
      return appservice
    }
    return undefined
  }

  /** Numbers of the appservices whose user this is. */
  numsOfUser(userId: string): readonly number[] {
    const known = this.interested.get(userId)
    if (known) return known
    const nums: number[] = []
    for (const appservice of this.byNum.values())
      if (appservice.namespaces.hasUser(userId)) nums.push(appservice.num)
    this.interested.set(userId, nums)
    return nums
  }

  /** Another appservice that claims the user for itself alone. */
  claimant(userId: string, except: Appservice | undefined): Appservice | undefined {
    for (const appservice of this.byNum.values())
      if (appservice !== except && appservice.namespaces.claimsUser(userId)) return appservice
    return undefined
  }

  /** Numbers of those that are interested in the room itself, whoever is in it. */
  numsOfRoom(roomId: string, aliases: () => string[]): number[] {
    const nums: number[] = []
    for (const appservice of this.byNum.values()) {
      if (!appservice.hasRoomNamespaces) continue
      const { namespaces } = appservice
      if (namespaces.hasRoom(roomId) || aliases().some(alias => namespaces.hasAlias(alias)))
        nums.push(appservice.num)
    }
    return nums
  }
}

/** False for an appservice that isn't registered in this process, or that has no address. */
export function isReachable(delivery: Delivery | undefined): delivery is Delivery {
  return delivery !== undefined && (delivery.url !== null || delivery.deliver !== undefined)
}

/** Sends a request to an appservice, as the specification authenticates it. */
export function askAppservice(
  { url, hsToken, deliver = streamFromPeer }: Delivery,
  method: string,
  path: string,
  body: string | JsonObject | undefined,
  signal: AbortSignal,
): Promise<Response> {
  const base = (url ?? 'http://appservice.invalid').replace(/\/$/, '')
  return deliver(
    new Request(base + path, {
      method,
      headers: { authorization: `Bearer ${hsToken}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal,
    }),
  )
}
