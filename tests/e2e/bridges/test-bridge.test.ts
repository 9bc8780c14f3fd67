/** The test bridge's own checks: format, vet and tests. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { testBridge } from '../../support/bridge-program.ts'

const CHECK = join(import.meta.dir, '..', '..', '..', 'scripts', 'check-test-bridge.sh')
/** A busy machine first compiles the tests. */
const DEADLINE_MS = 300_000

// A machine that built the bridge has Go.
test.skipIf(!testBridge)(
  'the test bridge passes its own checks',
  async () => {
    const check = Bun.spawn(['sh', CHECK], { stdio: ['ignore', 'pipe', 'pipe'] })
    const output = `${await check.stdout.text()}${await check.stderr.text()}`
    expect(await check.exited, output).toBe(0)
  },
  DEADLINE_MS,
)
