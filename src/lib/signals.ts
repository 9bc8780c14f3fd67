/** A bus of named signals within the process: whoever emits one knows none of those who listen. */

export class Signals<Name extends string> {
  private readonly listeners = new Map<Name, Set<() => void>>()

  /** Calls `listener` at each `name` from now on. @returns a function that ends that */
  on(name: Name, listener: () => void): () => void {
    const ofName = this.listeners.get(name) ?? new Set()
    this.listeners.set(name, ofName.add(listener))
    return () => ofName.delete(listener)
  }

  emit(name: Name): void {
    for (const listener of this.listeners.get(name) ?? []) listener()
  }
}
