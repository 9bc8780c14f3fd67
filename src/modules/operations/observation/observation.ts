/**
 * Observation: metrics.ts counts as things happen, gauges.ts reads off when somebody asks, and
 * wide-lines.ts writes the log. This file has what ties them to the process.
 */
import type { Observer } from '../../../domain/observation.ts'
import type { Clock } from '../../../lib/clock.ts'
import { every, type Worker } from '../../../runtime/worker.ts'

/** Milliseconds between samples while the process works, and while it hardly does. */
const LAG_INTERVAL_MS = { busy: 250, idle: 1_000 }
/** Part of a core from which on the process works. */
const BUSY_SHARE = 0.05

/** Several observers as one, each with the calls that interest it. */
export function observeWith(observers: readonly Partial<Observer>[]): Observer {
  const toAll = (call: (observer: Partial<Observer>) => void) => {
    for (const observer of observers) call(observer)
  }
  return {
    sendAttempted: attempt => toAll(observer => observer.sendAttempted?.(attempt)),
    messageSettled: outcome => toAll(observer => observer.messageSettled?.(outcome)),
    deliveryAttempted: attempt => toAll(observer => observer.deliveryAttempted?.(attempt)),
    batchReceived: batch => toAll(observer => observer.batchReceived?.(batch)),
    requestAnswered: request => toAll(observer => observer.requestAnswered?.(request)),
    requestRefused: reason => toAll(observer => observer.requestRefused?.(reason)),
    authenticationFailed: kind => toAll(observer => observer.authenticationFailed?.(kind)),
    committed: (writes, tookMs) => toAll(observer => observer.committed?.(writes, tookMs)),
  }
}

/** Observes how late timers fire: a busy event loop shows here first. */
export function createLoopLag(observe: (lagMs: number) => void, clock: Clock): Worker {
  let dueAt = Number.POSITIVE_INFINITY
  let usedUs = 0
  let intervalMs = LAG_INTERVAL_MS.busy
  async function tick(): Promise<number> {
    const now = performance.now()
    if (Number.isFinite(dueAt)) observe(Math.max(0, now - dueAt))
    const { user, system } = process.cpuUsage()
    const isBusy = user + system - usedUs > BUSY_SHARE * intervalMs * 1_000
    usedUs = user + system
    intervalMs = isBusy ? LAG_INTERVAL_MS.busy : LAG_INTERVAL_MS.idle
    // On whole seconds, as other workers.
    const waitMs = intervalMs - (clock.steady() % intervalMs)
    dueAt = now + waitMs
    return waitMs
  }
  return every('event-loop-lag', LAG_INTERVAL_MS.idle, tick, { clock })
}
