/**
 * The binary is minified, and Elysia reads the source of hooks and the names of classes. So the
 * application is asked here as it is in the binary: parsing and validating must not depend on it.
 */
import { expect, test } from 'bun:test'
import { tempDir } from '../support/temp-dir.ts'

test('the application does the same when it is minified', async () => {
  using folder = tempDir()
  const probe = Bun.fileURLToPath(import.meta.resolve('../support/http-probe.ts'))
  const built = await Bun.build({ entrypoints: [probe], target: 'bun', minify: true, outdir: folder.path })
  expect(built.success).toBeTrue()
  // Files that are embedded in the binary are found from the working directory here.
  const [minified, source] = await Promise.all([answers('http-probe.js', folder.path), answers(probe, '.')])
  expect(minified).toEqual(source)
  expect(source.length).toBeGreaterThan(20)
}, 60_000)

async function answers(path: string, cwd: string): Promise<unknown[]> {
  const child = Bun.spawn([process.execPath, path], {
    cwd,
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const lines = (await new Response(child.stdout).text()).trim().split('\n')
  expect(await child.exited).toBe(0)
  return lines
}
