/** The test bridge is code too: formatted, vetted, and its network keeps what its own tests promise. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { testBridge } from '../../support/bridge-program.ts'

const CHECK = join(import.meta.dir, '..', '..', '..', 'scripts', 'check-test-bridge.sh')
/** Compiles for its tests on a machine that does much else. */
const DEADLINE_MS = 300_000

// Where the bridge was built there is Go.
test.skipIf(!testBridge)(
  'the test bridge passes its own checks',
  async () => {
    const check = Bun.spawn(['sh', CHECK], { stdio: ['ignore', 'pipe', 'pipe'] })
    const output = `${await check.stdout.text()}${await check.stderr.text()}`
    expect(await check.exited, output).toBe(0)
  },
  DEADLINE_MS,
)
