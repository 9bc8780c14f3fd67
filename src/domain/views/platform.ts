/** A network as clients see it. */
import { type Static, Type } from '@sinclair/typebox'
import { BRIDGE_DRIVERS } from '../states.ts'
import { model, nullable, oneOf } from './schema.ts'

const may = (description: string) =>
  nullable(Type.Boolean({ description: `${description} Null where the bridge doesn't say.` }))

export const Platform = model(
  'Platform',
  {
    platform: Type.String({ description: 'As the other calls take it.' }),
    name: Type.String({ description: 'The network’s name, for people.' }),
    state: oneOf(['available', 'unavailable']),
    reason: nullable(Type.String({ description: 'Why it is unavailable.' })),
    driver: nullable(
      oneOf(BRIDGE_DRIVERS, { description: "By the bridge's provisioning API, or by writing to its bot." }),
    ),
    bot: nullable(Type.String({ description: "Matrix user id of the bridge's bot." })),
    flows: Type.Array(Type.Object({ id: Type.String(), name: Type.String(), description: Type.String() }), {
      description: 'Ways to link a device, for `flow` of POST /api/v1/devices.',
    }),
    capabilities: nullable(
      Type.Object({
        resolve: may('Whether it can be asked if an address exists.'),
        create_chat: may('Whether somebody can be written to for the first time.'),
        lookup_phone: may('Whether people are found by phone number.'),
        lookup_email: may('Whether people are found by email address.'),
        lookup_username: may('Whether people are found by user name.'),
        contact_list: may('Whether the address book can be listed.'),
        search: may('Whether people can be searched by name.'),
        create_group: may('Whether groups can be made.'),
        group_links: may('Whether groups can be joined by invite link.'),
      }),
    ),
  },
  {
    examples: [
      {
        platform: 'wa',
        name: 'WhatsApp',
        state: 'available',
        reason: null,
        driver: 'provisioning',
        bot: '@whatsappbot:localhost',
        flows: [{ id: 'qr', name: 'QR', description: 'Scan a QR code' }],
        capabilities: {
          resolve: true,
          create_chat: true,
          lookup_phone: true,
          lookup_email: false,
          lookup_username: false,
          contact_list: true,
          search: true,
          create_group: true,
          group_links: null,
        },
      },
    ],
  },
)
export type PlatformView = Static<typeof Platform>
