/** Arguments of an act, as its row keeps them: each type has its own. */
export interface ActArguments {
  /** A reaction has it. */
  emoji?: string
  /** Ids of the options that are voted for. */
  votes?: string[]
  /** The event up to which a chat is read. */
  upTo?: string
}
