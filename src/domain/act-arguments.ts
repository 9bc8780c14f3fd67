/** Arguments of an act, as its row keeps them: each type has its own. */
export interface ActArguments {
  /** A reaction has it. */
  emoji?: string
}
