/** Counts both ends: messages accepted and on the phones, messages sent and at the endpoints. */
import type { PushState } from '../support/synapse.ts'
import type { FaultyEndpoint, Received } from './load/endpoint.ts'
import { digest, fileOf } from './load/files.ts'
import type { IncomingLoad } from './load/incoming.ts'
import type { OutgoingLoad } from './load/outgoing.ts'

export interface OutgoingCount {
  chats: number
  accepted: number
  /** Unanswered at the end of the load: they may have arrived, but not twice. */
  unknown: number
  arrived: number
  lost: number
  /** At the homeserver, but not pushed to the bridge. Settled as `status_timeout`. */
  lostByHomeserver: number
  /** Taken by the bridge, but not on the phone. Settled as `status_timeout`. */
  lostByBridge: number
  twice: number
  /** Overtaken by a later message of their chat; messages the network had resent aren't counted. */
  outOfOrder: number
  /** Overtaken because the homeserver had kept them back from the bridge. */
  overtakenAtHomeserver: number
  files: number
  filesWrong: number
}

export interface IncomingCount {
  chats: number
  /** By the phones. */
  sent: number
  /** Messages sent, times the endpoints that must get each. */
  due: number
  /** Deliveries due that arrived. */
  arrived: number
  lost: number
  /** Sent by phones, and lost by the bridge before the homeserver: not our loss, and not due. */
  lostByBridge: number
  /** Repeated deliveries with the same webhook-id, after a lost answer or a failure. */
  repeats: number
  /** Arrived as two events, or under two webhook-ids. */
  twice: number
  files: number
  filesWrong: number
  badRequests: number
}

/** A message's state in its row. */
export interface MessageFate {
  status: string
  reason: string | null
  resends: number
}

/** How far a message got, where homeserver and bridge aren't ours and lose messages themselves. */
export interface Whereabouts {
  homeserverHas(text: string): Promise<boolean>
  /** @returns how far a message at the homeserver got on its way to the bridge */
  pushState(text: string): Promise<PushState>
  /** @returns true when the bridge got it after later messages of its chat */
  homeserverKept(text: string): Promise<boolean>
}

interface Telling {
  /** Reports a failure, as one line. */
  problem(line: string): void
  /** Reports a loss of other programs. */
  note(line: string): void
}

/** @param whereabouts null where everything is one program */
export async function countOutgoing(
  loads: readonly OutgoingLoad[],
  fateOf: (id: string) => MessageFate | undefined,
  whereabouts: Whereabouts | null,
  { problem: tell, note }: Telling,
): Promise<OutgoingCount> {
  const count: OutgoingCount = {
    chats: loads.length,
    accepted: 0,
    unknown: 0,
    arrived: 0,
    lost: 0,
    lostByHomeserver: 0,
    lostByBridge: 0,
    twice: 0,
    outOfOrder: 0,
    overtakenAtHomeserver: 0,
    files: 0,
    filesWrong: 0,
  }
  for (const load of loads) {
    const arrivals = (await load.chat.arrivals()).filter(({ text }) => text.startsWith(`${load.chat.key}#`))
    const byText = Map.groupBy(arrivals, ({ text }) => text)
    count.accepted += load.accepted.length
    count.unknown += load.unknown.length
    count.arrived += byText.size
    for (const [text, copies] of byText) {
      if (copies.length === 1) continue
      count.twice++
      tell(`${text} is on the phone ${copies.length} times`)
    }
    for (const { id, number, withFile } of load.accepted) {
      const text = load.textOf(number)
      const [arrival] = byText.get(text) ?? []
      if (!arrival) {
        const { status, reason } = fateOf(id) ?? { status: 'no row', reason: null }
        if (reason === 'status_timeout' && (await whereabouts?.homeserverHas(text))) {
          const state = await whereabouts?.pushState(text)
          count[state === 'taken' ? 'lostByBridge' : 'lostByHomeserver']++
          note(
            `${text} (${id}) is at the homeserver, and not on the phone: ${state} on its way to the bridge`,
          )
          continue
        }
        count.lost++
        tell(`${text} (${id}) was accepted and isn't on the phone: ${status} ${reason ?? ''}`)
        continue
      }
      if (withFile) count.files++
      if (arrival.file !== (withFile ? digest(fileOf(text).content) : null)) {
        count.filesWrong++
        tell(`${text}: the file on the phone isn't the one that was sent`)
      }
    }
    await countOrder(load, arrivals, fateOf, whereabouts, { count, note, problem: tell })
  }
  return count
}

/** @param arrivals in the phone's order */
async function countOrder(
  load: OutgoingLoad,
  arrivals: readonly { text: string }[],
  fateOf: (id: string) => MessageFate | undefined,
  whereabouts: Whereabouts | null,
  { count, problem, note }: Telling & { count: OutgoingCount },
): Promise<void> {
  const isResent = new Set(
    load.accepted.filter(({ id }) => (fateOf(id)?.resends ?? 0) > 0).map(({ number }) => load.textOf(number)),
  )
  let newest = 0
  for (const { text } of arrivals.filter(arrival => !isResent.has(arrival.text))) {
    const number = Number(text.split('#')[1])
    if (number >= newest) newest = number
    else if (await whereabouts?.homeserverKept(text)) {
      count.overtakenAtHomeserver++
      note(`${text} came after #${newest}: the homeserver had kept it back`)
    } else {
      count.outOfOrder++
      problem(`${text} came after #${newest}`)
    }
  }
}

export async function countIncoming(
  loads: readonly IncomingLoad[],
  endpoints: readonly FaultyEndpoint[],
  whereabouts: Whereabouts | null,
  { problem: tell, note }: Telling,
): Promise<IncomingCount> {
  const count: IncomingCount = {
    chats: loads.length,
    sent: 0,
    due: 0,
    arrived: 0,
    lost: 0,
    lostByBridge: 0,
    repeats: 0,
    twice: 0,
    files: 0,
    filesWrong: 0,
    badRequests: 0,
  }
  const byEndpoint = new Map(
    endpoints.map(({ name, received }) => [name, Map.groupBy(received, ({ text }) => text)]),
  )
  for (const { chat } of loads) {
    const sent = (await chat.sent()).filter(({ text }) => text.startsWith(`${chat.key}#`))
    count.sent += sent.length
    for (const name of chat.endpoints) {
      const got = byEndpoint.get(name) ?? new Map<string, Received[]>()
      for (const { text, file } of sent) {
        count.due++
        const copies = got.get(text) ?? []
        const [copy] = copies.filter(({ acknowledged }) => acknowledged)
        if (!copy && whereabouts && !(await whereabouts.homeserverHas(text))) {
          count.due--
          count.lostByBridge++
          note(`${text} never reached the homeserver: lost by the bridge`)
          continue
        }
        if (!copy) {
          count.lost++
          tell(`${text} was sent by the phone and didn't reach ${name} (tries: ${copies.length})`)
          continue
        }
        count.arrived++
        count.repeats += copies.length - 1
        if (new Set(copies.map(({ eventId, webhookId }) => `${eventId} ${webhookId}`)).size > 1) {
          count.twice++
          tell(`${text} reached ${name} as more than one event or webhook-id`)
        }
        if (file !== null) count.files++
        if (copies.some(other => other.file !== file)) {
          count.filesWrong++
          tell(`${text}: the file at ${name} isn't the one that the phone sent`)
        }
      }
    }
  }
  for (const { name, wrong } of endpoints) {
    count.badRequests += wrong.length
    for (const problem of wrong) tell(`${name}: ${problem}`)
  }
  return count
}
