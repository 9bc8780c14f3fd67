/**
 * The signals by which parts of the process tell each other what has happened (`lib/signals.ts`).
 * None is needed for things to come right: whoever listens looks by itself from time to time, too.
 */

/** The values that each signal carries. */
export interface SignalPayloads {
  /** An event was stored that a webhook asks for. */
  deliveries: []
  /** A message waits to be sent. */
  accepted: []
  /** A chat waits to be joined. */
  invited: []
}

export type SignalName = keyof SignalPayloads

/** Signals without values, which say no more when they are emitted twice. */
export type HintName = {
  [Name in SignalName]: SignalPayloads[Name] extends [] ? Name : never
}[SignalName]

/** The bus for a part that emits these signals. */
export interface Emits<Name extends SignalName> {
  emit<One extends Name>(name: One, ...payload: SignalPayloads[One]): void
}

/** The bus for a part that listens to these signals. */
export interface Hears<Name extends SignalName> {
  /** @returns a function that ends the listening */
  on<One extends Name>(name: One, listener: (...payload: SignalPayloads[One]) => void): () => void
}
