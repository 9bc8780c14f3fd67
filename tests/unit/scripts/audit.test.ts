/** `make audit` fails on vulnerabilities, and says so when the registry can't be asked. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..', '..', '..')

/** @param answer of the registry to the question for advisories */
async function audit(answer: () => Response): Promise<{ exitCode: number; output: string }> {
  await using registry = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: answer })
  const run = Bun.spawn([process.execPath, 'scripts/audit.ts'], {
    cwd: ROOT,
    env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent', BUN_CONFIG_REGISTRY: registry.url.href },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const output = await new Response(run.stdout).text()
  return { exitCode: await run.exited, output }
}

const ADVISORY = {
  id: 1234567,
  url: 'https://github.com/advisories/GHSA-xxxx-xxxx-xxxx',
  title: 'It can be broken into',
  severity: 'high',
  vulnerable_versions: '>=0',
}

test('nothing is found: that is well', async () => {
  const { exitCode, output } = await audit(() => Response.json({}))
  expect([exitCode, output]).toEqual([0, '0 vulnerabilities, 0 explained\n'])
})

test('what is found and not explained is a failure', async () => {
  const { exitCode, output } = await audit(() => Response.json({ busboy: [ADVISORY] }))
  expect(exitCode).toBe(1)
  expect(output).toContain(
    'high busboy: It can be broken into (https://github.com/advisories/GHSA-xxxx-xxxx-xxxx)',
  )
  expect(output).toContain('1 vulnerabilities, 0 explained')
})

test.each([405, 404, 503])('a registry that answers %i is no failure, and is told', async status => {
  const { exitCode, output } = await audit(() => new Response('no', { status }))
  expect(exitCode).toBe(0)
  expect(output).toStartWith("Not audited: the registry can't be asked for vulnerabilities (")
})
