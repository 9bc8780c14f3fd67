/** An update that can't even begin: the bridge goes on with the program it had. */
import { expect, test } from 'bun:test'
import { tryUpdate } from '../../../src/app/bridge-updates.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { AttachedBridge } from '../../../src/modules/bridges-attached/bridges-attached.ts'
import { ManualClock } from '../../support/manual-clock.ts'

test('where nothing can be saved, as on a full disk, the row says so, so that the old program is run again', async () => {
  const stored: AttachedBridge[] = []
  const ran: unknown[] = []
  const bridge = { platform: 'wa', dir: '/nowhere/at/all', version: 'v1', command: ['old'] } as AttachedBridge
  const update = { command: ['new'], version: 'v2', failure: null }
  await tryUpdate(
    bridge,
    update,
    { url: 'http://127.0.0.1:9', signal: new AbortController().signal },
    {
      attached: { replace: async row => void stored.push(row) },
      processes: { stop: async () => undefined, run: (...program: unknown[]) => ran.push(program) } as never,
      bridges: { noteStopped: () => undefined, untilReady: async () => undefined },
      clock: new ManualClock(),
      logger: silentLogger,
    },
  )
  expect(ran).toEqual([])
  expect(stored).toEqual([
    expect.objectContaining({
      command: ['old'],
      version: 'v1',
      update: { ...update, failure: expect.stringContaining('ENOENT') },
    }),
  ])
})
