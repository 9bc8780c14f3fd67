/** The list of platforms: each with what it can do, and none held up by another's bridge. */
import { expect, test } from 'bun:test'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { Bridge, BridgeDescription, Bridges } from '../../../src/domain/ports.ts'
import { createPlatforms } from '../../../src/modules/devices/platforms.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const DESCRIPTION: BridgeDescription = {
  name: 'WhatsApp',
  bot: '@whatsappbot:s',
  driver: 'provisioning',
  flows: [{ id: 'qr', name: 'QR', description: '' }],
  capabilities: {
    resolve: true,
    create_chat: true,
    lookup_phone: true,
    lookup_email: false,
    lookup_username: false,
    contact_list: true,
    search: true,
    create_group: null,
    group_links: null,
  },
}

test('those that answer, one that fails, and one that never answers', async () => {
  const clock = new ManualClock()
  const answers: Record<string, () => Promise<BridgeDescription>> = {
    wa: async () => DESCRIPTION,
    signal: () =>
      Promise.reject(new GatewayError('bridge_unavailable', "the signal bridge can't be reached")),
    telegram: () => new Promise(() => undefined),
  }
  const bridges: Bridges = {
    platforms: Object.keys(answers),
    forPlatform: platform => ({ describe: answers[platform] }) as unknown as Bridge,
    platformOfBot: async () => null,
    ownsUser: () => null,
  }
  const listed = createPlatforms({ bridges, clock }).list('@u:s')
  await clock.advance(3_000)
  const unavailable = {
    state: 'unavailable' as const,
    driver: null,
    bot: null,
    flows: [],
    capabilities: null,
  }
  expect(await listed).toEqual([
    { ...unavailable, platform: 'signal', name: 'signal', reason: "the signal bridge can't be reached" },
    {
      ...unavailable,
      platform: 'telegram',
      name: 'telegram',
      reason: "the telegram bridge didn't answer within 3 s",
    },
    {
      platform: 'wa',
      name: 'WhatsApp',
      state: 'available',
      reason: null,
      driver: 'provisioning',
      bot: '@whatsappbot:s',
      flows: DESCRIPTION.flows,
      capabilities: {
        resolve: true,
        create_chat: true,
        lookup_phone: true,
        lookup_email: false,
        lookup_username: false,
        contact_list: true,
        search: true,
        create_group: null,
        group_links: null,
      },
    },
  ])
  expect(clock.sleeping).toBe(0)
})
