/** Bodies of the device routes. */

import { t } from 'elysia'
import { Device } from '../../../domain/views/device.ts'
import { LINK_EXAMPLE, Link } from '../../../domain/views/link.ts'
import { model, nullable, oneOf } from '../../../domain/views/schema.ts'
import { knownOnly, textsByName } from '../../schemas.ts'
import { MAX_INPUT } from './link-model.ts'

const Platform = t.String({
  minLength: 1,
  maxLength: 64,
  description: 'A network the gateway has a bridge to, such as wa, signal or telegram.',
})

export const knownAnswers = textsByName('inputs', {
  maxLength: MAX_INPUT,
  description:
    "Answers known beforehand, by a field's id or type. Each is given as soon as the login asks for it.",
})

export const AddDevice = model(
  'AddDevice',
  {
    platform: Platform,
    flow: t.Optional(
      t.String({
        maxLength: 64,
        description: "One of the bridge's login flows (see GET /api/v1/platforms). By default its QR flow.",
      }),
    ),
    device_id: t.Optional(
      t.String({
        minLength: 1,
        maxLength: 255,
        description: 'A device to link again, in place of its old login. It keeps its chats.',
      }),
    ),
    inputs: t.Optional(knownAnswers.schema),
  },
  { examples: [{ platform: 'wa' }] },
)

export const DeviceAdded = model(
  'DeviceAdded',
  {
    message: t.String({ description: 'What the person has to do.' }),
    qr_code_url: t.String({
      description:
        'A WebSocket that sends the QR code to scan and each new one, and whatever else there is to do.',
    }),
    link_url: t.String({
      description:
        'A page that links the device, for the person with the phone. It is good for this link alone.',
    }),
    link: Link,
  },
  {
    examples: [
      {
        message: 'Scan the QR code to link your device',
        qr_code_url: 'ws://localhost:8080/api/v1/devices/qr-code?token=mt_abc123...',
        link_url: 'http://localhost:8080/link/3q2-7wAAAAAAAAAAAAAAAA',
        link: LINK_EXAMPLE,
      },
    ],
  },
)

export const DeviceList = t.Array(Device)

export const RemoveDevice = model(
  'DeleteDevice',
  {
    device_id: t.String({ minLength: 1, maxLength: 255 }),
    platform: Platform,
  },
  { examples: [{ device_id: '237123456789', platform: 'wa' }] },
)

/** Our own name for it. */
export const UpdateDevice = model(
  'UpdateDevice',
  {
    name: nullable(
      t.String({
        minLength: 1,
        maxLength: 255,
        description: "A name of your own, which stays whatever the network calls it. Null: the network's.",
      }),
    ),
  },
  { ...knownOnly, examples: [{ name: 'Support' }] },
)

const QR_FORMATS = ['raw', 'json', 'png', 'svg', 'terminal'] as const
export type QrFormat = (typeof QR_FORMATS)[number]

export const QrQuery = t.Object({
  token: t.Optional(
    t.String({ description: 'The token, for callers that cannot send the Authorization header.' }),
  ),
  platform: t.Optional(t.String({ description: 'Follow the link of this platform. By default the newest.' })),
  format: t.Optional(
    oneOf(QR_FORMATS, {
      description:
        'What each frame is (raw by default): the QR payload as text, a JSON object, a PNG image, an SVG image, or blocks for a terminal.',
    }),
  ),
})
