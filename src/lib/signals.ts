/** A bus of named signals within the process: an emitter doesn't know its listeners. */

/** @template Payloads maps each name to the values that a signal of that name carries */
export class Signals<Payloads extends Record<keyof Payloads, unknown[]>> {
  private readonly listeners: { [Name in keyof Payloads]?: Set<(...payload: Payloads[Name]) => void> } = {}

  /** Calls `listener` at each `name`. @returns a function that stops it */
  on<Name extends keyof Payloads>(name: Name, listener: (...payload: Payloads[Name]) => void): () => void {
    const ofName = this.listeners[name] ?? new Set()
    this.listeners[name] = ofName.add(listener)
    return () => ofName.delete(listener)
  }

  /** Calls `listener` at each of `names`. @returns a function that stops it */
  onAny<Name extends keyof Payloads>(names: readonly Name[], listener: () => void): () => void {
    const stops = names.map(name => this.on(name, listener))
    return () => {
      for (const stop of stops) stop()
    }
  }

  /** Calls the listeners of `name` in the order in which they came. */
  emit<Name extends keyof Payloads>(name: Name, ...payload: Payloads[Name]): void {
    for (const listener of this.listeners[name] ?? []) listener(...payload)
  }
}
