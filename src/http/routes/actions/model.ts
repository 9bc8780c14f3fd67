/** Paths and bodies of the action routes. */
import { t } from 'elysia'
import { MAX_RECIPIENT_LENGTH, MAX_REPLY_ID_LENGTH, MAX_TEXT_BYTES } from '../../../domain/limits.ts'
import { model } from '../../../domain/views/schema.ts'
import { knownOnly } from '../../schemas.ts'

export const ActionPath = t.Object({ id: t.String() })

export const ActedOnPath = t.Object({
  id: t.String({
    description:
      'A message: the `msg_…` of one that was sent from here, or the event id (`$…`, percent-encoded) of any.',
  }),
})

export const Reaction = model(
  'Reaction',
  { emoji: t.String({ maxLength: 64, description: 'One emoji. It takes the place of an earlier one.' }) },
  { ...knownOnly, examples: [{ emoji: '👍' }] },
)

export const EditMessage = model(
  'EditMessage',
  { text: t.String({ minLength: 1, maxLength: MAX_TEXT_BYTES, description: 'The whole new text.' }) },
  { ...knownOnly, examples: [{ text: 'At five o’clock' }] },
)

export const PollVote = model(
  'PollVote',
  {
    options: t.Array(t.String({ maxLength: 1_000 }), {
      maxItems: 100,
      description: 'Texts of options, or their ids: all that you choose now. None takes the vote back.',
    }),
  },
  { ...knownOnly, examples: [{ options: ['Monday'] }] },
)

export const MarkRead = model(
  'MarkRead',
  {
    up_to: t.Optional(
      t.String({
        maxLength: MAX_REPLY_ID_LENGTH,
        description: 'A message of the chat: it and all before. By default up to the newest.',
      }),
    ),
  },
  { ...knownOnly, examples: [{}] },
)

const recipient = (description: string, examples: string[]) =>
  t.Optional(t.String({ maxLength: MAX_RECIPIENT_LENGTH, description, examples }))

export const ForwardMessage = model(
  'ForwardMessage',
  {
    contact: recipient('Phone number or id of one recipient.', ['1234567890']),
    group_url: recipient('Or the invite link or id of a group.', ['']),
    chat_id: recipient('Or a chat.', ['']),
  },
  { ...knownOnly, examples: [{ contact: '1234567890' }] },
)
