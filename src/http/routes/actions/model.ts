/** Paths and bodies of the action routes. */
import { t } from 'elysia'
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
