/** Checks the filters that a webhook is given; `events/filter-repository.ts` applies them. */
import { GatewayError } from '../../domain/errors.ts'
import type { Bridges } from '../../domain/ports.ts'
import type { WebhookFilters } from '../../domain/views/webhook.ts'
import { contactKey } from '../../lib/phone-numbers.ts'
import type { ChatRepository } from '../chats/chat-repository.ts'

/** Where the chats and platforms are found that filters name. */
export interface FilterTargets {
  chats: Pick<ChatRepository, 'find'>
  bridges: Pick<Bridges, 'platforms'>
}

/**
 * @param given of the right types
 * @returns each value once; null when nothing is filtered
 * @throws GatewayError bad_request naming the list: it is empty, or names a chat or a platform that
 * there isn't
 */
export async function checkedFilters(
  { chats, bridges }: FilterTargets,
  identityId: string,
  given: WebhookFilters | null,
): Promise<WebhookFilters | null> {
  const lists = Object.entries(given ?? {}).map(([name, values]) => [name, [...new Set(values)]] as const)
  if (lists.length === 0) return null
  for (const [name, values] of lists) {
    // It could mean all or nothing.
    if (values.length === 0) throw wrong(name, 'at least one value; leave the list out for all')
  }
  const filters: WebhookFilters = Object.fromEntries(lists)
  const { platforms } = bridges
  const unknown = filters.platforms?.find(platform => !platforms.includes(platform))
  if (unknown !== undefined) throw wrong('platforms', `some of ${platforms.join(', ')}, not "${unknown}"`)
  for (const reference of filters.chats ?? []) {
    if (!(await chats.find(identityId, reference)))
      throw wrong('chats', `ids of chats (chat_…) or their rooms; there is no "${reference}"`)
  }
  // A device may not be linked yet; its number may be written as anywhere else.
  return filters.devices ? { ...filters, devices: [...new Set(filters.devices.map(contactKey))] } : filters
}

function wrong(list: string, expected: string): GatewayError {
  return new GatewayError('bad_request', `filters.${list}: expected ${expected}`)
}
