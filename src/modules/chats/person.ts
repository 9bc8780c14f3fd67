/** People, each one for all of the ids by which their bridge knows them. */
import type { BridgeContact } from '../../domain/ports.ts'
import type { ContactView } from '../../domain/views/contact.ts'
import { phoneDigits } from '../../lib/phone-numbers.ts'
import { TurnBudget } from '../../lib/turn-budget.ts'

export interface Person extends BridgeContact {
  /** All of their ids on the network, the one to use first. */
  nativeIds: string[]
}

/**
 * Makes one person of contacts with the same number, as WhatsApp's number and hidden id are. Others
 * may work in between, as a book may be long.
 */
export async function peopleIn(contacts: readonly BridgeContact[]): Promise<Person[]> {
  const turn = new TurnBudget()
  const people = new Map<string, Person>()
  for (const [index, contact] of contacts.entries()) {
    const key = contact.phone ?? ` ${index}`
    const known = people.get(key)
    people.set(key, known ? merged(known, contact) : { ...contact, nativeIds: [contact.id] })
    if (turn.isSpent) await turn.pause()
  }
  return [...people.values()]
}

/** The one who has a chat is the one to write to. */
function merged(known: Person, contact: BridgeContact): Person {
  const other = { ...contact, nativeIds: [contact.id] }
  const isOtherFirst = known.roomId === null && contact.roomId !== null
  const [first, second] = isOtherFirst ? [other, known] : [known, other]
  return {
    ...first,
    // A bridge that knows no name gives the id.
    name: first.name === first.id ? second.name : first.name,
    identifiers: [...new Set([...first.identifiers, ...second.identifiers])],
    nativeIds: [...new Set([...first.nativeIds, ...second.nativeIds])],
  }
}

export function contactView(person: Person, avatarUrl: string | null = null): ContactView {
  const { id, name, phone, nativeIds, matrixUserId, roomId, identifiers } = person
  return {
    id,
    name,
    phone,
    native_ids: nativeIds,
    matrix_id: matrixUserId,
    room: roomId,
    identifiers,
    avatar_url: avatarUrl,
  }
}

/** @param query part of a name, an id or a number, in any case and spelling */
export function matches({ nativeIds, name, phone, identifiers }: Person, query: string): boolean {
  const wanted = query.trim().toLowerCase()
  if (wanted === '') return true
  const texts = [...nativeIds, name, phone ?? '', ...identifiers].map(text => text.toLowerCase())
  const digits = phoneDigits(wanted)
  return texts.some(text => text.includes(wanted) || (digits !== null && text.includes(digits)))
}

type Named = Pick<BridgeContact, 'name' | 'id'>

export function byName(one: Named, other: Named): number {
  return one.name.localeCompare(other.name) || Number(one.id > other.id) - Number(one.id < other.id)
}
