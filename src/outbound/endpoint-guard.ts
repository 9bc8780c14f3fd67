/**
 * Keeps URLs that clients name out of our own network (server-side request forgery): webhooks', and
 * those of files. Requests go to the addresses that were checked, so a name that resolves
 * differently a moment later (DNS rebinding) gains nothing.
 */
import { lookup } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import { LRUCache } from 'lru-cache'
import { messageOf } from '../domain/errors.ts'
import type { Clock } from '../lib/clock.ts'
import { createNetworkMatcher } from '../lib/ip-networks.ts'
import { addressOf, plainAddress, specialAddress } from './special-ips.ts'

export interface EndpointRules {
  /** Allows endpoints at private, special and local addresses; a list: in these networks. */
  allowPrivate: boolean | readonly string[]
  /** Allows endpoints without TLS. */
  allowHttp: boolean
}

export interface EndpointGuard {
  /**
   * Why the URL isn't allowed, or null. An unresolvable name is accepted, since it may resolve
   * later.
   */
  objectionTo(url: string): Promise<string | null>
  /**
   * Addresses to connect to, in the resolver's order; null: wherever the name leads.
   * @throws EndpointRefused
   */
  addressesOf(url: string): Promise<readonly string[] | null>
}

/** Connecting to the endpoint isn't allowed, or its name doesn't resolve. */
export class EndpointRefused extends Error {
  override readonly name = 'EndpointRefused'
}

export interface EndpointGuardOptions extends EndpointRules {
  /** Names the setting that allows special addresses, where there is one. */
  remedy?: string
  clock: Clock
  /** @returns every address of a host name. @throws Error when it can't be resolved */
  resolve?: (hostname: string) => Promise<string[]>
  /** @returns every address of this machine's interfaces */
  ownAddresses?: () => string[]
}

/** How long a name's addresses are reused, in milliseconds: they were checked, so this is safe. */
const REMEMBERED_MS = 10_000
const MAX_REMEMBERED = 10_000

export function createEndpointGuard(options: EndpointGuardOptions): EndpointGuard {
  const {
    allowPrivate,
    allowHttp,
    remedy,
    clock,
    resolve = systemResolver,
    ownAddresses = interfaceAddresses,
  } = options
  const isAllowed = createNetworkMatcher(typeof allowPrivate === 'boolean' ? [] : allowPrivate)
  let own = { addresses: new Set<string>(), until: Number.NEGATIVE_INFINITY }
  const remembered = new LRUCache<string, { addresses: Promise<string[]>; until: number }>({
    max: MAX_REMEMBERED,
  })

  function resolveOnce(hostname: string): Promise<string[]> {
    const known = remembered.get(hostname)
    if (known && known.until > clock.steady()) return known.addresses
    const addresses = resolve(hostname)
    remembered.set(hostname, { addresses, until: clock.steady() + REMEMBERED_MS })
    // A failure may have passed by the next try.
    addresses.catch(() => remembered.delete(hostname))
    return addresses
  }

  /** @throws EndpointRefused when the URL isn't allowed, and errors of `resolve` */
  async function check(url: string): Promise<readonly string[] | null> {
    const { protocol, hostname } = new URL(url)
    if (!allowHttp && protocol !== 'https:') throw new EndpointRefused('expected an https:// URL')
    if (allowPrivate === true) return null
    const literal = addressOf(hostname)
    const addresses = literal === null ? await resolveOnce(hostname) : [literal]
    for (const address of addresses) refuseSpecial(address)
    return addresses
  }

  /**
   * Refuses a name with even one special address, as chance would decide which is used. Doesn't say
   * which: that would show tenants our network's names.
   */
  function refuseSpecial(address: string): void {
    const plain = plainAddress(address)
    if (isAllowed(plain)) return
    const special = specialAddress(plain) ?? (isOwn(plain) ? "this machine's" : null)
    if (special === null) return
    throw new EndpointRefused(
      `expected a public address, and its host is or leads to one that is ${special}${remedy ? ` (${remedy})` : ''}`,
    )
  }

  /** Cached briefly: interfaces change, and listing them costs more than the whole check. */
  function isOwn(address: string): boolean {
    if (own.until <= clock.steady())
      own = { addresses: new Set(ownAddresses().map(plainAddress)), until: clock.steady() + REMEMBERED_MS }
    return own.addresses.has(address)
  }

  return {
    objectionTo: url => check(url).then(nothing, error => (isRefusal(error) ? error.message : null)),
    addressesOf: url =>
      check(url).catch(error => {
        if (isRefusal(error)) throw error
        throw new EndpointRefused(`the name of the host can't be resolved: ${messageOf(error)}`)
      }),
  }
}

function isRefusal(error: unknown): error is EndpointRefused {
  return error instanceof EndpointRefused
}

function nothing(): null {
  return null
}

/** Resolves as the system does, IPv4 first: a broken IPv6 route would cost a try all its time. */
async function systemResolver(hostname: string): Promise<string[]> {
  const found = await lookup(hostname, { all: true, order: 'ipv4first' })
  return found.map(({ address }) => address)
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap(found => (found ?? []).map(({ address }) => address))
}
