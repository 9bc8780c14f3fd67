/**
 * SQL of the lanes in which messages wait for a recipient under another key than theirs: nothing
 * may overtake those.
 */
import { sql } from 'drizzle-orm'
import { messages } from '../../../db/schema/index.ts'
import { textParam } from '../../../db/stable-params.ts'
import { statement } from '../../../db/statement.ts'
import type { Reader } from '../../../db/transaction.ts'
import { groupKey } from '../../../domain/written-recipients.ts'
import { contactKey } from '../../../lib/phone-numbers.ts'
import { usersOfNumber } from '../../chats/people-repository.ts'
import { linksOfGroup } from '../../chats/recipient-repository.ts'

const lastWaiting = statement(orm =>
  orm
    .select({ seq: sql<number | null>`max(${messages.seq})` })
    .from(messages)
    .where(sql`${messages.lane} = ${textParam('lane')} and ${messages.status} in ('queued', 'sending')`),
)

/**
 * Finds the lanes in which something waits for recipients of a device under an id by which they
 * were written before their number was known, or under a group's invite link.
 * @returns null for those whose messages go by their key
 */
export async function lanesOfRecipients(
  reader: Reader,
  deviceRowId: string,
  recipients: readonly { key: string; recipient: string }[],
): Promise<(string | null)[]> {
  const lanes: (string | null)[] = []
  for (const { key, recipient } of recipients) {
    const keys = personKeys(key, recipient)
    if (key.startsWith('group:')) lanes.push(await laneOfGroup(reader, deviceRowId, key, recipient))
    else lanes.push(keys && (await laneOfPerson(reader, deviceRowId, keys)))
  }
  return lanes
}

async function laneOfGroup(
  reader: Reader,
  deviceRowId: string,
  key: string,
  recipient: string,
): Promise<string | null> {
  const links = await linksOfGroup(reader, deviceRowId, key.slice('group:'.length))
  if (links.length === 0) return null
  const written = groupKey(recipient)
  // Messages written in one way stay in order, whatever else waits.
  const inOrder = [...links].sort((one, other) => Number(other === written) - Number(one === written))
  for (const link of inOrder) {
    const lane = `${deviceRowId}/group:${link}`
    if ((await lastIn(reader, lane)) > 0) return lane
  }
  return null
}

async function lastIn(reader: Reader, lane: string): Promise<number> {
  return (await reader.get(lastWaiting, { lane }))?.seq ?? 0
}

/** By which a person's messages may wait. */
interface PersonKeys {
  /** The contact as it is written now, in its one spelling. */
  written: string
  /** Digits; other ids that are known to stand for the same number are looked up by it. */
  phone: string | null
}

/**
 * A number, or who a name is, may have become known while messages wait under what was written.
 * @param key as `keyOf` of the recipients tells it
 * @returns null where no other key can mean the same recipient
 */
function personKeys(key: string, recipient: string): PersonKeys | null {
  if (!key.startsWith('contact:')) return null
  const phone = /^contact:(\d+)$/.exec(key)?.[1] ?? null
  const written = contactKey(recipient)
  return phone === null && key === `contact:${written}` ? null : { written, phone }
}

async function laneOfPerson(
  reader: Reader,
  deviceRowId: string,
  { written, phone }: PersonKeys,
): Promise<string | null> {
  const laneOf = (contact: string) => `${deviceRowId}/contact:${contact}`
  const last = (lane: string) => lastIn(reader, lane)
  const ids = phone === null ? [] : await usersOfNumber(reader, deviceRowId, phone)
  if (written === phone && ids.length === 0) return null
  // Messages written in one way stay in order, whatever else waits.
  if ((await last(laneOf(written))) > 0) return laneOf(written)
  let latest: { lane: string; seq: number } | undefined
  for (const id of ids) {
    const lane = laneOf(id)
    const seq = await last(lane)
    if (seq > (latest?.seq ?? 0)) latest = { lane, seq }
  }
  return latest?.lane ?? null
}
