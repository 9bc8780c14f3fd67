/** Describes a chat by the facts about its room. */
import type { Device } from '../../db/schema/index.ts'
import type { Fact, PortalFact } from '../../domain/facts.ts'
import { isOwnGhost } from '../devices/ghosts.ts'
import { type DescribedColumns, type Features, featuresOf } from './chat-repository.ts'

/** Columns of a chat; absent those that the facts don't tell. */
export interface ChatDescription extends Partial<PortalFact['portal']> {
  encrypted?: boolean
  topic?: string | null
  avatar?: string | null
  memberCount?: number
  /** Content of a features fact. */
  features?: Record<string, unknown>
  movedTo?: string
}

/** @param facts of one room, the newer ones later; they needn't be all there are */
export function describeChat(facts: readonly Fact[]): ChatDescription {
  const description: ChatDescription = {}
  let roomName: string | undefined
  for (const fact of facts) {
    if (fact.fact === 'portal') Object.assign(description, fact.portal)
    if (fact.fact === 'features') description.features = fact.content
    if (fact.fact === 'moved') description.movedTo = fact.movedTo
    if (fact.fact === 'room') Object.assign(description, fact.room)
    if (fact.fact === 'room' && 'name' in fact.room) roomName = fact.room.name
  }
  // The room's own name is what people see; the bridge's name of the channel stands in for it.
  return roomName === undefined ? description : { ...description, name: roomName }
}

/**
 * @param platforms by the bridges' bots
 * @returns the columns that a description changes, and the features that one of them names, if any
 */
export function columnsOf(
  { features: content, ...columns }: ChatDescription,
  platforms: ReadonlyMap<string, string | null>,
): { columns: DescribedColumns; features: Features | null } {
  const { bridgeBot } = columns
  const platform = bridgeBot === undefined ? {} : { platform: platforms.get(bridgeBot) ?? null }
  if (content === undefined) return { columns: { ...columns, ...platform }, features: null }
  const features = Object.keys(content).length === 0 ? null : featuresOf(content)
  return { columns: { ...columns, ...platform, features: features?.digest ?? '' }, features }
}

/**
 * @param state of a room, in full
 * @param devices of the identity that is in it
 * @returns how many people are in it, the account among them
 */
export function membersIn(
  state: readonly Fact[],
  bridgeBot: string | undefined,
  devices: readonly Device[],
): number {
  const present = state.filter(fact => fact.fact === 'membership' && fact.membership === 'join')
  // The account may be there twice: as our user, and as its own ghost.
  const isPerson = (userId: string) =>
    userId !== bridgeBot && !devices.some(device => isOwnGhost(userId, device))
  return present.filter(fact => 'userId' in fact && isPerson(fact.userId)).length
}
