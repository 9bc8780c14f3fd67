/** The registered appservices: who they are, which users they own, and which events they get. */

import { LRUCache } from 'lru-cache'
import { streamFromPeer } from '../../lib/peer-request.ts'
import { tokenHash } from '../identifiers.ts'
import type { JsonObject } from '../json.ts'
import type { AppserviceRow } from '../store/appservices.ts'
import { CompiledNamespaces, type Namespaces } from './namespaces.ts'

/** @see https://spec.matrix.org/v1.12/application-service-api/#registration */
export interface AppserviceRegistration {
  id: string
  /** Base URL for requests; null when unreachable or when `deliver` is given. */
  url: string | null
  /** The appservice's own token for the client-server API. */
  asToken: string
  /** The homeserver's token for the appservice. */
  hsToken: string
  senderLocalpart: string
  namespaces: Namespaces
  receiveEphemeral?: boolean
  /** In-process delivery instead of HTTP: gets the same request, with `Bearer <hsToken>`. */
  deliver?: (request: Request) => Promise<Response>
  /** Resolves when a transaction may be sent or the signal aborts; by default at once. */
  untilReady?: (signal: AbortSignal) => Promise<void>
}

/** How to reach an appservice. Not stored: after a restart it gets nothing until it registers. */
export type Delivery = Pick<AppserviceRegistration, 'url' | 'hsToken' | 'deliver' | 'untilReady'>

export interface Appservice {
  readonly num: number
  readonly id: string
  readonly senderUserId: string
  readonly tokenHash: string
  readonly namespaces: CompiledNamespaces
  readonly receiveEphemeral: boolean
  readonly delivery: Delivery | undefined
}

const USER_CACHE = 20_000

export class Appservices {
  private readonly byNum = new Map<number, Appservice>()
  private readonly byToken = new Map<string, Appservice>()
  private readonly interested = new LRUCache<string, readonly number[]>({ max: USER_CACHE })
  /** Called whenever namespaces change, which makes values derived from them stale. */
  onChange: () => void = () => {}

  constructor(
    private readonly serverName: string,
    rows: AppserviceRow[],
  ) {
    for (const row of rows) this.put(row, undefined)
  }

  put(row: AppserviceRow, delivery: Delivery | undefined): void {
    const senderUserId = `@${row.sender_localpart}:${this.serverName}`
    this.byNum.set(row.num, {
      num: row.num,
      id: row.id,
      senderUserId,
      tokenHash: row.as_token_hash,
      namespaces: new CompiledNamespaces(JSON.parse(row.namespaces) as Namespaces, senderUserId),
      receiveEphemeral: row.receive_ephemeral === 1,
      delivery,
    })
    this.changed()
  }

  remove(id: string): Appservice | undefined {
    const found = this.byNum.values().find(appservice => appservice.id === id)
    if (!found) return undefined
    this.byNum.delete(found.num)
    this.changed()
    return found
  }

  private changed(): void {
    this.interested.clear()
    this.byToken.clear()
    this.onChange()
  }

  all(): Iterable<Appservice> {
    return this.byNum.values()
  }

  get(num: number): Appservice | undefined {
    return this.byNum.get(num)
  }

  /** Finds the appservice of a token. Caches only valid tokens. */
  authenticate(token: string): Appservice | undefined {
    const known = this.byToken.get(token)
    if (known) return known
    const hash = tokenHash(token)
    const found = this.byNum.values().find(appservice => appservice.tokenHash === hash)
    if (found) this.byToken.set(token, found)
    return found
  }

  /** Numbers of the appservices whose user this is. */
  numsOfUser(userId: string): readonly number[] {
    const known = this.interested.get(userId)
    if (known) return known
    const nums = this.numsWhere(({ namespaces }) => namespaces.has('users', userId))
    this.interested.set(userId, nums)
    return nums
  }

  /** True when another appservice has an exclusive claim on the id. */
  isClaimed(kind: 'users' | 'aliases', id: string, except: Appservice | undefined): boolean {
    return this.byNum.values().some(other => other !== except && other.namespaces.claims(kind, id))
  }

  /** Numbers of appservices interested in the room itself, whoever is in it. */
  numsOfRoom(roomId: string, aliases: () => string[]): number[] {
    return this.numsWhere(({ namespaces }) => namespaces.hasRoom(roomId, aliases))
  }

  private numsWhere(isWanted: (appservice: Appservice) => boolean): number[] {
    return [...this.byNum.values().filter(isWanted)].map(({ num }) => num)
  }
}

/** False for an appservice that isn't registered in this process or has no URL. */
export function isReachable(delivery: Delivery | undefined): delivery is Delivery {
  return delivery !== undefined && (delivery.url !== null || delivery.deliver !== undefined)
}

/** Sends a request to an appservice, authenticated as the specification says. */
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
