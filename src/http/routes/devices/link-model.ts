/** Bodies of the link routes. */
import { t } from 'elysia'
import { model, oneOf } from '../../../domain/views/schema.ts'
import { knownOnly, textsByName } from '../../schemas.ts'

/** Characters of one answer: more than the cookies of any web login. */
export const MAX_INPUT = 32_768

export const answers = textsByName('inputs', {
  maxLength: MAX_INPUT,
  description: "What the step asks for, by a field's id or type.",
})

const PICTURE_FORMATS = ['png', 'svg', 'json', 'txt'] as const
export type PictureFormat = (typeof PICTURE_FORMATS)[number]

export const QrPictureQuery = t.Object(
  {
    format: t.Optional(
      oneOf(PICTURE_FORMATS, {
        description: 'A PNG image (by default), an SVG image, JSON, or the text of the code.',
      }),
    ),
  },
  knownOnly,
)

export const LinkParams = t.Object({ id: t.String({ maxLength: 64 }) })

export const LinkAnswer = model(
  'AnswerLink',
  {
    inputs: answers.schema,
  },
  { ...knownOnly, examples: [{ inputs: { phone_number: '+237123456789' } }] },
)
