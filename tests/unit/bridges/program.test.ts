/** Questions to a bridge's program before it runs as a bridge. */
import { expect, test } from 'bun:test'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { exampleFromProgram } from '../../../src/bridges/setup/program.ts'
import { birthOf } from '../../../src/runtime/process-table.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { waitFor } from '../../support/wait-for.ts'

test.skipIf(process.platform === 'win32')(
  'one that never ends is given up, with all that it started and that holds its output open',
  async () => {
    using folder = tempDir()
    const [program, pids] = [folder.file('bridge'), folder.file('pids')]
    writeFileSync(program, `#!/bin/sh\nsleep 1000 &\necho $$ $! > ${pids}\nwait\n`)
    chmodSync(program, 0o755)
    const env = { PATH: '/usr/bin:/bin' }
    await expect(exampleFromProgram([program], env, 500)).rejects.toThrow('it took longer than 0.5 s')
    const started = readFileSync(pids, 'utf8').trim().split(' ').map(Number)
    expect(started).toHaveLength(2)
    await waitFor(() => started.every(pid => birthOf(pid) === null), { what: 'the end of both' })
  },
)
