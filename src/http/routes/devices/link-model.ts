/** Bodies of the link routes. */
import { t } from 'elysia'
import { LINK_STATES, type LinkView } from '../../../modules/linking/types.ts'
import { knownOnly, model, NAME, nullable, oneOf, textsByName, timestamp } from '../../schemas.ts'

/** Characters of one answer: more than the cookies of any web login. */
export const MAX_INPUT = 32_768

export const answers = textsByName('inputs', {
  maxLength: MAX_INPUT,
  description: "What the step asks for, by a field's id or type.",
})

const fields = {
  id: t.String(),
  type: t.String({
    description:
      'username, password, phone_number, email, 2fa_code, token, url, domain, select, captcha_code or cookie.',
  }),
  name: t.String(),
  description: t.String(),
  required: t.Boolean(),
  options: t.Array(t.String(), { description: 'What may be chosen from; empty when anything may be typed.' }),
  pattern: nullable(t.String({ description: 'A regular expression that the value has to match.' })),
  default_value: nullable(t.String()),
}
const instructions = t.String({ description: 'In the words of the bridge; may be empty.' })
const sources = t.Array(
  t.Object({
    type: t.String({ description: 'cookie, local_storage, request_header, request_body or special.' }),
    name: t.String(),
    cookie_domain: nullable(t.String()),
    request_url_regex: nullable(t.String()),
  }),
  { description: 'Where in the browser the value is found: any one of these.' },
)

const Step = t.Union(
  [
    t.Object({ type: t.Literal('qr'), payload: t.String(), instructions }),
    t.Object({ type: t.Literal('code'), code: t.String(), instructions }),
    t.Object({
      type: t.Literal('emoji'),
      emoji: t.String(),
      image_url: nullable(t.String()),
      instructions,
    }),
    t.Object({ type: t.Literal('wait'), instructions }),
    t.Object({
      type: t.Literal('input'),
      fields: t.Array(t.Object(fields)),
      attachments: t.Array(
        t.Object({
          file_name: t.String(),
          mime_type: t.String(),
          content: t.String({ description: 'Base64.' }),
        }),
      ),
      instructions,
    }),
    t.Object({
      type: t.Literal('cookies'),
      url: t.String({ description: 'The page to log in at.' }),
      user_agent: nullable(t.String()),
      extract_js: nullable(t.String({ description: 'JavaScript that gathers the fields in that page.' })),
      wait_for_url_pattern: nullable(t.String()),
      fields: t.Array(t.Object({ ...fields, sources })),
      instructions,
    }),
    t.Object({
      type: t.Literal('connected'),
      platform: t.String(),
      device_id: t.String(),
      name: t.String(),
    }),
    t.Object({
      type: t.Literal('error'),
      code: t.String({ description: 'timeout, failed, superseded or cancelled.' }),
      message: t.String(),
    }),
  ],
  { [NAME]: 'LinkStep' },
)

export const LINK_EXAMPLE: LinkView = {
  id: 'lnk_01983c0f6d7a7d2c9f0f5b1e2a3c4d5e',
  platform: 'wa',
  flow: 'qr',
  state: 'waiting_for_scan',
  step: {
    type: 'qr',
    payload: '2@V3xk…',
    instructions: 'Scan the QR code with the WhatsApp mobile app to log in',
  },
  created_at: '2026-04-27T10:00:00Z',
  expires_at: '2026-04-27T10:00:20Z',
}

export const LinkBody = model(
  'Link',
  {
    id: t.String(),
    platform: t.String(),
    flow: t.String(),
    state: oneOf(LINK_STATES, {
      description:
        'What the link waits for, or how it ended (connected, timeout, failed, superseded, cancelled).',
    }),
    step: Step,
    created_at: timestamp(),
    expires_at: nullable(
      timestamp('Until when it is good for sure; each step and each renewed code moves it.'),
    ),
  },
  { examples: [LINK_EXAMPLE] },
)

export const LinkParams = t.Object({ id: t.String({ maxLength: 64 }) })

export const LinkAnswer = model(
  'AnswerLink',
  {
    inputs: answers.schema,
  },
  { ...knownOnly, examples: [{ inputs: { phone_number: '+237123456789' } }] },
)
