/** Arguments of an act, as its row keeps them: each type has its own. */
export interface ActArguments {
  /** A reaction has it. */
  emoji?: string
  /** Ids of the options that are voted for. */
  votes?: string[]
  /** The event up to which a chat is read. */
  upTo?: string
  /** A change of a member has it, as its caller wrote it, and the Matrix user that it meant. */
  member?: { written: string; userId: string }
  /** Seconds after which messages disappear; 0: never. */
  disappearingS?: number
  /** The picture goes, and none comes. */
  withoutAvatar?: true
}
