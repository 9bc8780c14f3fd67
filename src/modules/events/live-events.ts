/**
 * Events that are true for a few seconds: they go to the streams that ask for them now, and are
 * neither stored nor numbered.
 */
import type { LiveEvent } from '../../domain/events.ts'

type Listener = (event: LiveEvent) => void

export class LiveEvents {
  private readonly listeners = new Map<string, Set<Listener>>()

  /** True while somebody listens: else nothing need be found out. */
  get isHeard(): boolean {
    return this.listeners.size > 0
  }

  isHeardBy(identityId: string): boolean {
    return this.listeners.has(identityId)
  }

  tell(identityId: string, event: LiveEvent): void {
    for (const listener of this.listeners.get(identityId) ?? []) listener(event)
  }

  /** @returns what ends the listening */
  listen(identityId: string, listener: Listener): () => void {
    const listeners = this.listeners.get(identityId) ?? new Set()
    this.listeners.set(identityId, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.listeners.delete(identityId)
    }
  }
}
