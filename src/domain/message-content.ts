/** The parts of a message that is sent, beside its text and its file. */

interface Location {
  /** In degrees: -90 to 90, and -180 to 180. */
  latitude: number
  longitude: number
  name?: string | undefined
}

interface Poll {
  question: string
  options: string[]
  maxSelections: number
}

/** Fields that are absent ask for nothing. */
export interface SendContent {
  location?: Location
  poll?: Poll
}

/** A client's own notes, which come back with the message. */
export type Metadata = Record<string, string>
