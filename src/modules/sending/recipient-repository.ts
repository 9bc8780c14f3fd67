/**
 * SQL of recipients: the room of each device's chat with them, and the lane in which something
 * waits for them already.
 */
import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { contacts, ghostPhones, messages, resolvedRecipients } from '../../db/schema/index.ts'
import { textParam } from '../../db/stable-params.ts'
import { statement } from '../../db/statement.ts'
import type { Reader } from '../../db/transaction.ts'
import { contactKey } from '../../lib/phone-numbers.ts'

export interface RecipientRepository {
  /** @returns null when it isn't known */
  find(deviceRowId: string, recipientKey: string): Promise<string | null>
  remember(deviceRowId: string, recipientKey: string, roomId: string, now: number): Promise<void>
  forget(deviceRowId: string, roomId: string): Promise<void>
  /**
   * For each recipient of a device, the lane in which something waits for them under an id by which
   * they were written before their number was known: what is sent next must not overtake it.
   * @returns null for those whose messages go by their key
   */
  lanesOfPeople(
    deviceRowId: string,
    recipients: readonly { key: string; recipient: string }[],
  ): Promise<(string | null)[]>
}

const param = sql.placeholder
const ofDevice = eq(resolvedRecipients.deviceRowId, param('deviceRowId'))
const resolved = statement(orm =>
  orm
    .select({ roomId: resolvedRecipients.roomId })
    .from(resolvedRecipients)
    .where(and(ofDevice, eq(resolvedRecipients.recipientKey, param('recipientKey')))),
)
const put = statement(orm =>
  orm
    .insert(resolvedRecipients)
    .values({
      deviceRowId: param('deviceRowId'),
      recipientKey: param('recipientKey'),
      roomId: param('roomId'),
      resolvedAt: param('now'),
    })
    .onConflictDoUpdate({
      target: [resolvedRecipients.deviceRowId, resolvedRecipients.recipientKey],
      set: { roomId: sql`excluded.room_id`, resolvedAt: sql`excluded.resolved_at` },
    }),
)
const remove = statement(orm =>
  orm.delete(resolvedRecipients).where(and(ofDevice, eq(resolvedRecipients.roomId, param('roomId')))),
)

const idsOfPerson = statement(orm =>
  orm
    .select({ id: ghostPhones.matrixUserId })
    .from(ghostPhones)
    .where(
      sql`${ghostPhones.deviceRowId} = ${textParam('deviceRowId')} and ${ghostPhones.phone} = ${textParam('phone')}`,
    )
    .unionAll(
      orm
        .select({ id: contacts.matrixUserId })
        .from(contacts)
        .where(
          sql`${contacts.deviceRowId} = ${textParam('deviceRowId')} and ${contacts.phone} = ${textParam('phone')}`,
        ),
    ),
)
const lastWaiting = statement(orm =>
  orm
    .select({ seq: sql<number | null>`max(${messages.seq})` })
    .from(messages)
    .where(sql`${messages.lane} = ${textParam('lane')} and ${messages.status} in ('queued', 'sending')`),
)

export function createRecipientRepository(db: Pick<Db, 'read' | 'write'>): RecipientRepository {
  return {
    async find(deviceRowId, recipientKey) {
      const found = await db.read(reader => reader.get(resolved, { deviceRowId, recipientKey }))
      return found?.roomId ?? null
    },

    remember: (deviceRowId, recipientKey, roomId, now) =>
      db.write(tx => tx.run(put, { deviceRowId, recipientKey, roomId, now })),

    forget: (deviceRowId, roomId) => db.write(tx => tx.run(remove, { deviceRowId, roomId })),

    lanesOfPeople: (deviceRowId, recipients) =>
      db.read(async reader => {
        const lanes: (string | null)[] = []
        for (const { key, recipient } of recipients) {
          const keys = personKeys(key, recipient)
          lanes.push(keys && (await laneOfPerson(reader, deviceRowId, keys)))
        }
        return lanes
      }),
  }
}

/** By which a recipient's messages may wait. */
interface PersonKeys {
  /** The contact as it is written now, in its one spelling. */
  written: string
  /** Digits; other ids that are known to stand for the same number are looked up by it. */
  phone: string
}

/**
 * A number may have become known while messages wait under an id that stands for it.
 * @param key as `recipientKey` tells it
 * @returns null where no other key can mean the same recipient
 */
function personKeys(key: string, recipient: string): PersonKeys | null {
  const phone = /^contact:(\d+)$/.exec(key)?.[1]
  return phone === undefined ? null : { written: contactKey(recipient), phone }
}

async function laneOfPerson(
  reader: Reader,
  deviceRowId: string,
  { written, phone }: PersonKeys,
): Promise<string | null> {
  const laneOf = (contact: string) => `${deviceRowId}/contact:${contact}`
  const last = async (lane: string) => (await reader.get(lastWaiting, { lane }))?.seq ?? 0
  const ids = await reader.all(idsOfPerson, { deviceRowId, phone })
  if (written === phone && ids.length === 0) return null
  // Messages written in one way stay in order, whatever else waits.
  if ((await last(laneOf(written))) > 0) return laneOf(written)
  let latest: { lane: string; seq: number } | undefined
  for (const { id } of ids) {
    const lane = laneOf(id)
    const seq = await last(lane)
    if (seq > (latest?.seq ?? 0)) latest = { lane, seq }
  }
  return latest?.lane ?? null
}
