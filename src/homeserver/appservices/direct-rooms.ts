/**
 * `m.direct` names a user's direct rooms across all bridges. An appservice acting as a puppet sees
 * only the rooms it speaks in, and its changes leave the others alone.
 * @see https://spec.matrix.org/v1.12/client-server-api/#mdirect
 */
import { TurnBudget } from '../../lib/turn-budget.ts'
import type { Requester } from '../call.ts'
import { type Json, type JsonObject, parseStored } from '../json.ts'
import { speaksInStored } from './puppets.ts'

export const DIRECT_TYPE = 'm.direct'
const NO_ROOM = 0

/** False for global account data hidden from puppets: everything but `m.direct`, which is split. */
export const sharesType = ({ isPuppet }: Requester, type: string): boolean =>
  !isPuppet || type === DIRECT_TYPE

/** The content as the requester may see it. */
export async function shownDirect(requester: Requester, content: JsonObject): Promise<JsonObject> {
  if (!requester.isPuppet) return content
  const spokenIn = await roomsSpokenIn(requester, [content])
  return picked(content, room => spokenIn.has(room))
}

/** Replaces the part of the content that the requester sees by `given`. */
export async function putDirect(requester: Requester, given: JsonObject): Promise<void> {
  const { core, userId, isPuppet } = requester
  const stored = () => parseStored(core.users.accountData(userId, NO_ROOM, DIRECT_TYPE) ?? '{}')
  const spokenIn = await roomsSpokenIn(requester, isPuppet ? [given, stored()] : [])
  await core.commit(tx => {
    const content = isPuppet ? merged(stored(), given, spokenIn) : given
    tx.putAccountData(userId, NO_ROOM, DIRECT_TYPE, content)
  })
}

function merged(stored: JsonObject, given: JsonObject, spokenIn: ReadonlySet<Json>): JsonObject {
  const content = picked(stored, room => !spokenIn.has(room))
  for (const [userId, rooms] of Object.entries(picked(given, room => spokenIn.has(room))))
    content[userId] = [...listOf(content[userId]), ...listOf(rooms)]
  return content
}

/** Keeps the rooms that pass `wants`, and the users with any left. */
function picked(content: JsonObject, wants: (room: Json) => boolean): JsonObject {
  const lists = Object.entries(content).map(
    ([userId, rooms]) => [userId, listOf(rooms).filter(wants)] as const,
  )
  return Object.fromEntries(lists.filter(([, rooms]) => rooms.length > 0))
}

async function roomsSpokenIn(
  requester: Requester,
  contents: readonly JsonObject[],
): Promise<ReadonlySet<Json>> {
  const turn = new TurnBudget()
  const spokenIn = new Set<Json>()
  for (const room of new Set(contents.flatMap(content => Object.values(content).flatMap(listOf)))) {
    if (typeof room === 'string' && (await speaksInStored(requester, room))) spokenIn.add(room)
    if (turn.isSpent) await turn.pause()
  }
  return spokenIn
}

function listOf(rooms: Json | undefined): Json[] {
  return Array.isArray(rooms) ? rooms : []
}
