/** The parts of a message that is sent, beside its text and its file, in the API's words. */
import { type Static, Type } from '@sinclair/typebox'
import { model } from './schema.ts'

const MAX_LENGTH = 1_000
const PHONES_OR_EMAILS = 20

const shortText = (example: string) =>
  Type.String({ minLength: 1, maxLength: MAX_LENGTH, examples: [example] })

export const Location = model('Location', {
  latitude: Type.Number({ minimum: -90, maximum: 90, description: 'In degrees.', examples: [52.516274] }),
  longitude: Type.Number({ minimum: -180, maximum: 180, description: 'In degrees.', examples: [13.377722] }),
  name: Type.Optional(shortText('Brandenburg Gate')),
})

export const NewPoll = model('NewPoll', {
  question: shortText('When shall we meet?'),
  options: Type.Array(shortText('Monday'), {
    minItems: 2,
    maxItems: 100,
    description: 'Each another text. Networks have limits of their own, such as 12 on WhatsApp.',
    examples: [['Monday', 'Tuesday']],
  }),
  max_selections: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100,
      default: 1,
      description: 'How many options a person may choose.',
      examples: [1],
    }),
  ),
})

export const ContactCard = model('ContactCard', {
  name: shortText('Ada Lovelace'),
  phones: Type.Array(shortText('+4915112345678'), {
    minItems: 1,
    maxItems: PHONES_OR_EMAILS,
    examples: [['+4915112345678']],
  }),
  emails: Type.Optional(
    Type.Array(shortText('ada@example.org'), {
      minItems: 1,
      maxItems: PHONES_OR_EMAILS,
      examples: [['ada@example.org']],
    }),
  ),
})

/** `auto` is as the chat's network shows such a file. */
export const SEND_AS = ['auto', 'image', 'video', 'audio', 'voice', 'sticker', 'gif', 'file'] as const

/** Fields that are absent ask for nothing. */
export interface SendContent {
  format?: 'markdown'
  /** Contacts, each of whom the text mentions. */
  mentions?: string[]
  link_preview?: false
  as?: Exclude<(typeof SEND_AS)[number], 'auto'>
  location?: Static<typeof Location>
  poll?: Static<typeof NewPoll>
  contact_card?: Static<typeof ContactCard>
}

/** A client's own notes, which come back with the message. */
export type Metadata = Record<string, string>
