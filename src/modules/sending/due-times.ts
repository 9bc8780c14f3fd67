/**
 * When messages that are queued will be tried: an estimate, by what waits before them and by the pace of their device, as if nothing failed and the
 * device had its connection. The outbox gives a device's slots to its lanes in turn, one at a time, so a message's turn depends on its place in its
 * own lane and on what is in the others.
 */
import type { Clock } from '../../lib/clock.ts'
import type { DeviceQueue, QueuedLane, WaitingMessages } from './lane-repository.ts'
import type { MessageWithDevice } from './message-repository.ts'
import type { Pace } from './pace.ts'

export interface DueTimesOptions {
  waiting: Pick<WaitingMessages, 'deviceQueue' | 'placesInLane'>
  paceOf(platform: string): Pace
  clock: Clock
}

/** @returns the instant for each of the messages that is queued, by its `seq`, unless too much waits to tell */
export type DueTimes = (messages: readonly MessageWithDevice[]) => Promise<Map<number, number>>

export function createDueTimes({ waiting, paceOf, clock }: DueTimesOptions): DueTimes {
  return async messages => {
    const due = new Map<number, number>()
    const queued = messages.filter(({ message }) => message.status === 'queued')
    const places = await waiting.placesInLane(queued.map(({ message }) => message))
    for (const [deviceRowId, own] of Map.groupBy(queued, ({ message }) => message.deviceRowId)) {
      const queue = await waiting.deviceQueue(deviceRowId)
      const estimate = estimator(queue, paceOf(own[0]?.platform ?? ''), clock.now())
      for (const { message } of own) {
        const at = estimate(message.lane, places.get(message.seq) ?? 0)
        if (at !== null) due.set(message.seq, at)
      }
    }
    return due
  }
}

/** @returns a function of a lane and a place in it, from 0, that tells the instant; null where that depends on lanes that weren't looked at */
function estimator({ restAt, lanes, isWhole }: DeviceQueue, pace: Pace, now: number) {
  const byName = new Map(lanes.map(lane => [lane.lane, lane]))
  const { intervalMs, burst } = pace
  /** When the next slot is given that nobody has yet. */
  const nextSlotAt = (before: number) => Math.max(restAt, now) + (before - burst + 1) * intervalMs

  return (name: string, place: number): number | null => {
    const own = byName.get(name)
    if (!own) return null
    // Its next try waits until then, for a slot or after a failure. While it is leased, nobody waits for that.
    const earliest = own.leased ? now : Math.max(now, own.dueAt)
    if (intervalMs === 0 || (own.hasSlot && place === 0)) return earliest
    if (!isWhole) return null
    const turn = place - slotsHeld(own)
    const before = lanes.reduce((sum, lane) => sum + turnsBefore(lane, own, turn), turn)
    return Math.max(earliest, nextSlotAt(before))
  }
}

/** What is being sent has had its slot. */
function slotsHeld({ hasSlot, leased }: QueuedLane): number {
  return hasSlot || leased ? 1 : 0
}

/** How many slots another lane gets before ours gets its slot number `turn`, from 0. */
function turnsBefore(other: QueuedLane, own: QueuedLane, turn: number): number {
  if (other === own) return 0
  const isFirst = other.dueAt < own.dueAt || (other.dueAt === own.dueAt && other.lane < own.lane)
  return Math.min(Math.max(0, other.waiting - slotsHeld(other)), turn + (isFirst ? 1 : 0))
}
