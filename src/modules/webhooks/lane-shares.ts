/**
 * How the lanes in flight are shared out. An identity may have as many as are still free, so there is always room for one more identity: alone
 * it gets half of all lanes, and n that take what they can get leave one part in n + 1.
 */

export interface LaneHolder {
  endpoint: string
  webhook: { identityId: string }
}

export class LaneShares {
  private inAll = 0
  private readonly ofEndpoint = new Map<string, number>()
  private readonly ofIdentity = new Map<string, number>()

  /** @param most lanes in flight at a time */
  constructor(private readonly most: number) {}

  free(): number {
    return this.most - this.inAll
  }

  inFlightTo(endpoint: string): number {
    return this.ofEndpoint.get(endpoint) ?? 0
  }

  /**
   * How many more lanes the identity may take, when `claimed` are about to be taken, `claimedForIt` of them by it.
   */
  freeOf(identityId: string, claimed: number, claimedForIt: number): number {
    const lead = this.free() - claimed - (this.ofIdentity.get(identityId) ?? 0) - claimedForIt
    // Each lane taken is one more in flight and one less that is free.
    return Math.max(0, Math.ceil(lead / 2))
  }

  take({ endpoint, webhook }: LaneHolder): void {
    this.count(endpoint, webhook.identityId, 1)
  }

  giveBack({ endpoint, webhook }: LaneHolder): void {
    this.count(endpoint, webhook.identityId, -1)
  }

  private count(endpoint: string, identityId: string, change: 1 | -1): void {
    this.inAll += change
    add(this.ofEndpoint, endpoint, change)
    add(this.ofIdentity, identityId, change)
  }
}

function add(counts: Map<string, number>, key: string, change: number): void {
  const count = (counts.get(key) ?? 0) + change
  if (count === 0) counts.delete(key)
  else counts.set(key, count)
}
