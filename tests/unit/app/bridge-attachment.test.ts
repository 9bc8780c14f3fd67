/** The gateway follows the bridges that are attached. */
import { expect, test } from 'bun:test'
import { createBridgeAttachment } from '../../../src/app/bridge-attachment.ts'
import { BridgesInUse } from '../../../src/app/bridges-in-use.ts'
import { createBridges } from '../../../src/bridges/bridges.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createProcessClock } from '../../../src/lib/process-clock.ts'
import { Signals } from '../../../src/lib/signals.ts'
import type { AttachedBridge } from '../../../src/modules/bridges-attached/bridges-attached.ts'
import { identityNamespace } from '../../../src/modules/tenants/identities.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const WA: AttachedBridge = {
  platform: 'wa',
  url: 'http://127.0.0.1:9',
  registrationId: 'whatsapp',
  senderLocalpart: 'sender',
  botLocalpart: 'whatsappbot',
  asToken: 'as',
  hsToken: 'hs',
  secret: 'secret',
  // As at an external homeserver, where the registration lets the bridge act as our users.
  namespaces: {
    users: [
      { regex: '@whatsapp_.*:example\\.org', exclusive: true },
      { regex: identityNamespace('example.org'), exclusive: false },
    ],
  },
  command: null,
  dir: '/nowhere',
  version: null,
  update: null,
  createdAt: 1,
  updatedAt: 1,
}

test('ghosts and bots are the bridge’s own users; ours and those of other servers aren’t', async () => {
  const clock = new ManualClock()
  const bridges = createBridges({
    bridges: [],
    signals: new Signals(),
    sessions: { actingAs: () => expect.unreachable() },
    clock,
    logger: silentLogger,
  })
  const config = { bridges: [], data: { dir: '/nowhere' }, matrix: { serverName: 'example.org' } } as never
  const context = {
    config,
    secrets: { bridges: new Map() } as never,
    db: { read: async () => [] } as never,
    clock: createProcessClock(clock),
    logger: silentLogger,
  }
  const attachment = createBridgeAttachment(context, {
    attached: { list: async () => [WA] } as never,
    inUse: new BridgesInUse(config),
    bridges,
    processes: { stop: async () => undefined } as never,
    homeserver: undefined,
    sandbox: undefined,
    service: { serve: async () => undefined, direct: () => undefined },
    devices: {} as never,
  })
  await attachment.begin()
  const ours = '@mgabcdefghij:example.org'
  const owned = (userId: string) => bridges.ownsUser('wa', userId)
  for (const own of ['@whatsapp_1:example.org', '@whatsappbot:example.org', '@sender:example.org'])
    expect([own, owned(own)]).toEqual([own, true])
  for (const other of [
    ours,
    '@whatsapp_1:example.org.evil',
    'x@whatsapp_1:example.org',
    '@senders:example.org',
  ])
    expect([other, owned(other)]).toEqual([other, false])
  bridges.stop()
})
