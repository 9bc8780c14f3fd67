/** A bus of named signals within the process: an emitter doesn't know its listeners. */

export class Signals<Name extends string> {
  private readonly listeners = new Map<Name, Set<() => void>>()

  /** Calls `listener` at each `name`. @returns a function that stops it */
  on(name: Name, listener: () => void): () => void {
    const ofName = this.listeners.get(name) ?? new Set()
    this.listeners.set(name, ofName.add(listener))
    return () => ofName.delete(listener)
  }

  emit(name: Name): void {
    for (const listener of this.listeners.get(name) ?? []) listener()
  }
}
