/** A device as clients see it. */
import { type Static, Type } from '@sinclair/typebox'
import { DEVICE_STATES } from '../states.ts'
import { model, nullable, oneOf, timestamp } from './schema.ts'

export const DEVICE_EXAMPLE = {
  id: 'dev_0r8f2k1xv3',
  platform: 'wa',
  device_id: '237123456789',
  state: 'connected',
  reason: null,
  since: '2026-04-27T10:00:00Z',
  name: 'Ada',
  phone: '237123456789',
  linked_at: '2026-04-27T10:00:00Z',
  restricted: null,
}

export const Device = model(
  'Device',
  {
    id: Type.String({
      description: 'What /metrics and the log call the device by. Calls take `device_id`.',
    }),
    platform: Type.String(),
    device_id: Type.String(),
    state: oneOf(DEVICE_STATES, {
      description:
        '`disconnected` mends itself, `logged_out` needs a new link, `error` needs a person. A device that is logged out stays in the list until it is deleted or linked again.',
    }),
    reason: nullable(Type.String({ description: 'Why it is so, as the bridge or the gateway knows it.' })),
    since: Type.String({
      format: 'date-time',
      description: 'When the state became what it is. RFC 3339 in UTC.',
    }),
    name: Type.String(),
    phone: nullable(Type.String()),
    linked_at: timestamp(),
    restricted: nullable(
      Type.Object(
        {
          until: Type.String({ format: 'date-time', description: 'When it ends. RFC 3339 in UTC.' }),
          what: oneOf(['new_chats'], {
            description: '`new_chats`: messages to people without a chat wait until then; others go on.',
          }),
        },
        { description: 'What the network forbids it for now.' },
      ),
    ),
  },
  {
    examples: [DEVICE_EXAMPLE],
  },
)
/** As the list has it. */
export type ListedDevice = Static<typeof Device>
/** As events have it. */
export type DeviceView = Omit<ListedDevice, 'id'>
