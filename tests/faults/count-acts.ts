/** Counts actions at both ends: those accepted, and what the sandbox's phones have of them. */
import { Database } from 'bun:sqlite'
import type { ActLoad } from './load/acts.ts'

export interface ActCount {
  /** By what they do. */
  accepted: Record<string, number>
  /** Unanswered at the end of the load: they may have been taken, but not twice. */
  unknown: number
  /** On the phones as something of their own. */
  arrived: number
  /** Done in the queue: an edit of a message, or a cancelled one, that nobody had tried. */
  inPlace: number
  /** Readings that a newer one replaced. */
  replaced: number
  lost: number
  twice: number
  /** Overtaken by what was accepted later in their chat, be it an action or a message. */
  outOfOrder: number
}

interface Row {
  id: string
  seq: number
  lane: string
  act: string | null
  status: string
  reason: string | null
  resends: number
  text: string | null
  target: string | null
  eventId: string | null
  /** At the phones. */
  at: number | null
  about: string | null
  wanted: string | null
}

const ROWS = `
  SELECT m.id, m.seq, m.lane, m.act, m.status, m.reason, m.resends, m.text, m.target,
    m.event_id AS eventId, said.seq AS at, said.target AS about, aim.message_id AS wanted
  FROM messages AS m
  LEFT JOIN sandbox_event AS e ON e.event_id = m.event_id
  LEFT JOIN sandbox_message AS said ON said.id = e.message_id
  LEFT JOIN messages AS targeted ON targeted.id = m.target
  LEFT JOIN sandbox_event AS aim ON aim.event_id = coalesce(targeted.event_id, m.target)
  WHERE m.caption_of IS NULL ORDER BY m.seq`
/** How often something was done to a message, by that message. */
const DONE = `
  SELECT target, count(*) AS times FROM sandbox_message WHERE target IS NOT NULL
    AND type IN ('reaction', 'edit', 'delete', 'vote') GROUP BY target`
const TEXTS = `
  SELECT m.id, said.text, said.deleted_at AS deletedAt FROM messages AS m
  JOIN sandbox_event AS e ON e.event_id = m.event_id JOIN sandbox_message AS said ON said.id = e.message_id
  WHERE m.id IN (SELECT target FROM messages WHERE act IN ('edit', 'unsend'))`
/** Readings, with how far the phones saw them. */
const READ = `
  SELECT m.id FROM messages AS m JOIN devices AS d ON d.id = m.device_row_id
  JOIN sandbox_event AS e ON e.event_id = m.content ->> '$.upTo'
  JOIN sandbox_message AS said ON said.id = e.message_id
  WHERE m.act = 'read' AND m.status = 'sent' AND NOT EXISTS (SELECT 1 FROM sandbox_read AS r
    WHERE r.chat = said.chat AND r.phone = d.device_id AND r.seq >= said.seq)`

/**
 * Call when nothing is on its way any more.
 * @param databaseFile of a gateway with the sandbox, which keeps both ends in it
 * @param problem reports a failure, as one line
 */
export function countActs(
  databaseFile: string,
  loads: readonly ActLoad[],
  problem: (line: string) => void,
): ActCount {
  using database = new Database(databaseFile, { readonly: true })
  const rows = database.query<Row, []>(ROWS).all()
  const acts = new Map(rows.filter(({ act }) => act !== null).map(row => [row.id, row]))
  const accepted = loads.flatMap(load => load.accepted)
  const count: ActCount = {
    accepted: Object.fromEntries(
      [...Map.groupBy(accepted, ({ type }) => type)].map(([type, all]) => [type, all.length]),
    ),
    unknown: loads.reduce((sum, { unknown }) => sum + unknown, 0),
    ...{ arrived: 0, inPlace: 0, replaced: 0, lost: 0, twice: 0, outOfOrder: 0 },
  }
  const tell = (kind: 'lost' | 'twice' | 'outOfOrder', line: string) => {
    count[kind]++
    problem(line)
  }
  for (const { id, type } of accepted) {
    const row = acts.get(id)
    if (type === 'read' && row?.status === 'cancelled') count.replaced++
    else if (row?.status !== 'sent')
      tell('lost', `${type} ${id} was accepted, and is ${row?.status ?? 'no row'} ${row?.reason ?? ''}`)
    else if (type === 'read') count.arrived++
    else if (row.eventId === null) count.inPlace++
    else if (row.at === null || row.about !== row.wanted)
      tell('lost', `${type} ${id} isn't on the phone, or about another message`)
    else count.arrived++
  }
  const surplus = acts.size - accepted.length - count.unknown
  if (surplus > 0) tell('twice', `${surplus} more actions are stored than were asked for`)
  const wanted = Map.groupBy(
    [...acts.values()].filter(({ at }) => at !== null),
    row => row.wanted ?? '',
  )
  for (const { target, times } of database.query<{ target: string; times: number }, []>(DONE).all()) {
    const due = wanted.get(target)?.length ?? 0
    if (due > 0 && times > due) tell('twice', `${times} actions are on the phone about ${target}, not ${due}`)
  }
  countOrder(rows, line => tell('outOfOrder', line))
  const texts = database.query<{ id: string; text: string; deletedAt: number | null }, []>(TEXTS).all()
  for (const { id, text, deletedAt } of texts) {
    const done = [...acts.values()].filter(({ target, status }) => target === id && status === 'sent')
    const last = done.findLast(({ act }) => act === 'edit')
    const isUnsent = done.some(({ act }) => act === 'unsend')
    if (isUnsent !== (deletedAt !== null))
      tell('lost', `${id} is unsent, or it is on the phone, but not both`)
    else if (!isUnsent && last && text !== last.text) tell('lost', `${id} is "${text}", not "${last.text}"`)
  }
  for (const { id } of database.query<{ id: string }, []>(READ).all())
    tell('lost', `read ${id} was sent, and the phones don't show it`)
  return count
}

/** Messages and actions that the network had resent aren't counted. */
function countOrder(rows: readonly Row[], problem: (line: string) => void): void {
  for (const lane of Map.groupBy(rows, row => row.lane).values()) {
    let newest = 0
    for (const { id, act, at, resends } of lane) {
      if (at === null || resends > 0) continue
      if (at > newest) newest = at
      else problem(`${act ?? 'message'} ${id} came after what was accepted later`)
    }
  }
}
