/**
 * Tickets: each opens one link to whoever holds it, without a token, so that it can be given to the
 * person with the phone. A ticket lives in this process, as its link does, and ends with it.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { GatewayError } from '../../../domain/errors.ts'
import { randomToken } from '../../../lib/tokens.ts'
import type { Linking } from '../../../modules/devices/linking.ts'

/** The link that a ticket opens. */
export interface TicketedLink {
  identityId: string
  linkId: string
  /** @throws GatewayError forbidden when the token that asked for the link is no longer good */
  readmit(): Promise<unknown>
}

/** 128 bits. */
const TICKET_BYTES = 16
/** Links under way, and those that ended a moment ago. */
const MAX_TICKETS = 10_000

export class LinkTickets {
  /** By the ticket's hash: nothing that can be read here opens a link. */
  private readonly links = new LRUCache<string, TicketedLink>({ max: MAX_TICKETS })

  constructor(private readonly linking: Pick<Linking, 'get'>) {}

  issue(link: TicketedLink): string {
    const ticket = randomToken('', TICKET_BYTES)
    this.links.set(hashOf(ticket), link)
    return ticket
  }

  /** @throws GatewayError not_found, in the same words whatever the reason */
  async open(ticket: string): Promise<TicketedLink> {
    const hash = hashOf(ticket)
    const link = this.links.get(hash)
    if (!link) throw gone()
    try {
      this.linking.get(link.identityId, link.linkId)
      await link.readmit()
    } catch (error) {
      if (!(error instanceof GatewayError) || !ENDS.includes(error.code)) throw error
      this.links.delete(hash)
      throw gone()
    }
    return link
  }
}

/** The link is no longer known, or the token no longer good. */
const ENDS: readonly string[] = ['not_found', 'forbidden']

function hashOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('base64url')
}

function gone(): GatewayError {
  return new GatewayError(
    'not_found',
    'This address is no longer good: ask whoever gave it to you for a new one',
  )
}
