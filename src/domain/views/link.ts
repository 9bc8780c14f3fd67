/** A login under way as clients see it. */
import { type Static, Type } from '@sinclair/typebox'
import { model, NAME, nullable, oneOf, timestamp } from './schema.ts'

export const LINK_ENDS = ['timeout', 'failed', 'superseded', 'cancelled'] as const
export type LinkEnd = (typeof LINK_ENDS)[number]

/** States of a link: what it waits for, or how it ended. */
export const LINK_STATES = [
  'waiting_for_scan',
  'waiting_for_code',
  'waiting_for_input',
  'waiting',
  'connected',
  ...LINK_ENDS,
] as const
export type LinkState = (typeof LINK_STATES)[number]

const Field = model('LinkField', {
  id: Type.String(),
  type: Type.String({
    description:
      'username, password, phone_number, email, 2fa_code, token, url, domain, select, captcha_code, cookie or credential.',
  }),
  name: Type.String(),
  description: Type.String(),
  required: Type.Boolean(),
  options: Type.Array(Type.String(), {
    description: 'What may be chosen from; empty when anything may be typed.',
  }),
  pattern: nullable(Type.String({ description: 'A regular expression that the value has to match.' })),
  default_value: nullable(Type.String()),
})
const instructions = Type.String({ description: 'In the words of the bridge; may be empty.' })
const picture = nullable(Type.String({ description: 'A picture of it, where the bridge has one.' }))
const sources = Type.Array(
  model('LinkFieldSource', {
    type: Type.String({ description: 'cookie, local_storage, request_header, request_body or special.' }),
    name: Type.String(),
    cookie_domain: nullable(Type.String()),
    request_url_regex: nullable(Type.String()),
  }),
  { description: 'Where in the browser the value is found: any one of these.' },
)
const CookieField = model('LinkCookieField', { ...Field.properties, sources })

const Step = Type.Union(
  [
    model('LinkQrStep', {
      type: Type.Literal('qr'),
      payload: Type.String(),
      image_url: picture,
      instructions,
    }),
    model('LinkCodeStep', {
      type: Type.Literal('code'),
      code: Type.String(),
      image_url: picture,
      instructions,
    }),
    model('LinkEmojiStep', {
      type: Type.Literal('emoji'),
      emoji: Type.String(),
      image_url: picture,
      instructions,
    }),
    model('LinkWaitStep', { type: Type.Literal('wait'), instructions }),
    model('LinkInputStep', {
      type: Type.Literal('input'),
      fields: Type.Array(Field),
      attachments: Type.Array(
        model('LinkAttachment', {
          file_name: Type.String(),
          mime_type: Type.String(),
          content: Type.String({ description: 'Base64.' }),
        }),
      ),
      instructions,
    }),
    model('LinkCookiesStep', {
      type: Type.Literal('cookies'),
      url: Type.String({ description: 'The page to log in at.' }),
      user_agent: nullable(Type.String()),
      extract_js: nullable(Type.String({ description: 'JavaScript that gathers the fields in that page.' })),
      wait_for_url_pattern: nullable(Type.String()),
      fields: Type.Array(CookieField, {
        description:
          'The input `cookies` may stand in for all of them: a cURL command that the developer tools of the browser copied, or a JSON object.',
      }),
      instructions,
    }),
    model('LinkPasskeyStep', {
      type: Type.Literal('passkey'),
      url: Type.String({ description: 'The site whose passkey is asked for: it works on its pages alone.' }),
      publicKey: Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        additionalProperties: true,
        description: 'For navigator.credentials.get({publicKey}) there, in the JSON form of WebAuthn.',
      }),
      fields: Type.Array(Field, { description: 'One, `credential`: what that gave, as JSON.' }),
      instructions,
    }),
    model('LinkConnectedStep', {
      type: Type.Literal('connected'),
      platform: Type.String(),
      device_id: Type.String(),
      name: Type.String(),
    }),
    model('LinkErrorStep', {
      type: Type.Literal('error'),
      code: oneOf(LINK_ENDS),
      message: Type.String(),
    }),
  ],
  { [NAME]: 'LinkStep' },
)

/** A step that a link shows. The last two end it. */
export type LinkEvent = Static<typeof Step>
export type LinkField = Static<typeof Field>
export type CookieField = Static<typeof CookieField>

/** An input that stands in for all fields of a `cookies` step: they are found in it. */
export const ALL_COOKIES: LinkField = {
  id: 'cookies',
  type: 'cookie',
  name: 'Cookies',
  description: 'A cURL command copied from the developer tools of the browser, or a JSON object',
  required: true,
  options: [],
  pattern: null,
  default_value: null,
}

export const LINK_EXAMPLE = {
  id: 'lnk_01983c0f6d7a7d2c9f0f5b1e2a3c4d5e',
  platform: 'wa',
  flow: 'qr',
  state: 'waiting_for_scan',
  step: {
    type: 'qr',
    payload: '2@V3xk…',
    image_url: null,
    instructions: 'Scan the QR code with the WhatsApp mobile app to log in',
  },
  created_at: '2026-04-27T10:00:00Z',
  expires_at: '2026-04-27T10:00:20Z',
}

export const Link = model(
  'Link',
  {
    id: Type.String(),
    platform: Type.String(),
    flow: Type.String(),
    state: oneOf(LINK_STATES, {
      description:
        'What the link waits for, or how it ended (connected, timeout, failed, superseded, cancelled).',
    }),
    step: Step,
    created_at: timestamp(),
    expires_at: nullable(
      timestamp('It is good at least until then; each step and each renewed code moves it.'),
    ),
  },
  { examples: [LINK_EXAMPLE] },
)
export type LinkView = Static<typeof Link>

/** The QR code to scan now. */
export const LinkQr = model(
  'LinkQr',
  {
    payload: Type.String({ description: 'What the QR code says.' }),
    instructions,
    expires_at: nullable(timestamp('It is good at least until then.')),
  },
  {
    examples: [
      {
        payload: '2@V3xk…',
        instructions: 'Scan the QR code with the WhatsApp mobile app to log in',
        expires_at: '2026-04-27T10:00:20Z',
      },
    ],
  },
)
export type LinkQr = Static<typeof LinkQr>
