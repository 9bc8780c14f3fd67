/** Features of a chat's network, as its bridge states them in the room's state. */

/**
 * How a network shows a file: `voice` is recorded on the spot, `file` is any kind, to be
 * downloaded.
 */
export type FileKind = 'image' | 'video' | 'audio' | 'voice' | 'sticker' | 'gif' | 'file'

/**
 * -2: a message with it is refused; -1: it is lost on the way; 0: something else may stand in for
 * it; 1: taken in part, such as converted; 2: taken.
 */
export type FeatureLevel = number
export const REFUSED: FeatureLevel = -2
export const SUBSTITUTED: FeatureLevel = 0
export const TAKEN_IN_PART: FeatureLevel = 1

/** Limits of a network for one kind of file. */
export interface FileFeatures {
  /** By media type, or by "image/*" and the like, or by "*\/*". What isn't listed is refused. */
  mimeTypes: Readonly<Record<string, FeatureLevel>>
  caption: FeatureLevel
  /** In characters; null: no limit of its own. */
  maxCaptionLength: number | null
  maxSizeBytes: number | null
  maxDurationMs: number | null
  /** In pixels. */
  maxWidth: number | null
  maxHeight: number | null
}

export interface RoomFeatures {
  /** A kind that isn't there is refused; null: the bridge doesn't state features. */
  files: Readonly<Partial<Record<FileKind, FileFeatures>>> | null
  /** In characters; null: the bridge tells no limit. */
  maxTextLength: number | null
  /** Null: the bridge doesn't say. */
  mentions: FeatureLevel | null
  location: FeatureLevel
  /** Null: the bridge doesn't say. */
  poll: FeatureLevel | null
  /** Null: the bridge tells no limit. */
  maxPollOptions: number | null
  /** In characters; null: the bridge tells no limit. */
  maxPollOptionLength: number | null
  /** Where it isn't taken, an answer arrives as a message of its own, unless it is refused. */
  reply: FeatureLevel
  /** Null where the bridge doesn't say; below `TAKEN_IN_PART` it is refused. */
  edit: FeatureLevel | null
  /** Null: at any time. */
  editMaxAgeMs: number | null
  /** How often one message may be edited; null: any number. */
  editMaxCount: number | null
  /** Taking back from everybody; as `edit`. */
  delete: FeatureLevel | null
  deleteMaxAgeMs: number | null
  /** As `edit`. */
  reaction: FeatureLevel | null
  /** How many one person may have on one message; null: any number. */
  reactionCount: number | null
  /** Null: any emoji. */
  allowedReactions: readonly string[] | null
  /** Absent where the bridge doesn't say. */
  settings?: SettingsFeatures
}

/** Changes of a chat as a whole that its network takes. */
export interface SettingsFeatures {
  /** By type of state, such as m.room.name; a type that isn't there is refused. */
  state: Readonly<Record<string, FeatureLevel>>
  /** By action: invite, kick and leave; one that isn't there is refused. */
  memberActions: Readonly<Record<string, FeatureLevel>>
  /** Times after which messages may disappear; null: any. */
  timersMs: readonly number[] | null
  /** From when such a time counts, as Matrix names it. */
  timerType: string
  /** True when the person of a direct chat can be blocked. */
  blocks: boolean
}
