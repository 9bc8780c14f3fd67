/** Several observers as one, each interested in what it likes. */
import type { Observer } from '../../../domain/observation.ts'

export function observeWith(observers: readonly Partial<Observer>[]): Observer {
  const toAll = (tell: (observer: Partial<Observer>) => void) => {
    for (const observer of observers) tell(observer)
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
