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
  /** A message was taken that is to be sent later. */
  scheduled: []
  /** A message was taken whose file is to be fetched. */
  'file-awaited': []
  /** Something was said in a chat, and the history has it. */
  said: []
  /** A chat waits to be joined. */
  invited: []
  /** A chat was joined, and what was said there before was taken up. */
  joined: [identityId: string, roomId: string]
  /** Messages from before a device was linked were stored, so many. */
  'history-stored': [identityId: string, roomId: string, count: number]
  /** A bridge has closed the room of a chat, which goes on in another. */
  moved: []
  /** The clock has moved, and with it what waits: something may be due at another time. */
  'clock-moved': []
  'identity-created': []
  /** Tokens were deleted, by their owners or because they had expired. */
  'token-removed': []
  /** A credential was changed or deleted, and its tokens may be worth nothing any more. */
  'credential-changed': []
  /** Messages that wait for a device are never to be sent. */
  'queues-discarded': []
  /** A device can send again, or never will: its messages needn't wait any longer. */
  'device-settled': [deviceRowId: string]
  /** A Matrix account stopped working or works again; null: every account. */
  'account-changed': [matrixUserId: string | null]
  /** A bridge reported a state, of a login or of itself. */
  'bridge-state': [platform: string, report: StateReport]
  /** A bridge or homeserver came to the clients' port, for the first time since the start. */
  'at-main-port': [visitor: Visitor]
}

/** A bridge's own report about a login, or about itself. */
export interface StateReport {
  /** Whose login it is; null: the state is the bridge's. */
  matrixUserId: string | null
  /** Null: any login of the user. */
  loginId: string | null
  stateEvent: string | null
  errorCode: string | null
}

/** A bridge, by its platform, or the homeserver that pushes to us. */
export type Visitor = 'homeserver' | { platform: string }

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
  onAny<One extends Name>(names: readonly One[], listener: () => void): () => void
}
