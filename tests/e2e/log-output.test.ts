/** With nobody reading its output, the program works, ends, and later reports the lost lines. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { basic } from '../support/json-client.ts'
import { MESHGATE } from '../support/meshgate-program.ts'
import { freePort } from '../support/program.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

/** Lines have over 150 bytes each, so these are four times a pipe's buffer. */
const REQUESTS = 1_600
const DEADLINE_MS = 15_000
const SECRETS = {
  CLIENT_ID: 'admin',
  CLIENT_SECRET: 'a secret of the tests',
  SECRET_KEY: 'a secret key of the tests',
}
/** Requests of strangers are not all logged. */
const headers = { authorization: basic(SECRETS.CLIENT_ID, SECRETS.CLIENT_SECRET) }

/** @param outputs shell redirections of the program's outputs; `pipe` is in the shell's folder */
function gatewayInto(outputs: string, folder: string) {
  const port = freePort()
  const child = Bun.spawn(['/bin/sh', '-c', `exec "$0" "$@" serve ${outputs}`, ...MESHGATE], {
    cwd: folder,
    env: {
      PATH: '/usr/bin:/bin',
      HOME: folder,
      PORT: String(port),
      LOG_LEVEL: 'info',
      LOG_FORMAT: 'json',
      ...SECRETS,
    },
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  const url = `http://127.0.0.1:${port}`
  const isHealthy = async () => (await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) })).ok
  return {
    url,
    isHealthy,
    ready: () =>
      waitFor(() => isHealthy().catch(() => false), { what: 'a healthy gateway', deadlineMs: DEADLINE_MS }),
    async stop() {
      child.kill('SIGTERM')
      return await child.exited
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

async function ask(url: string, times: number): Promise<void> {
  for (let left = times; left > 0; left--)
    expect(
      (await fetch(`${url}/api/v1/tokens`, { headers, signal: AbortSignal.timeout(10_000) })).status,
    ).toBe(200)
}

/** A named pipe in `folder`, open for reading but read only on request. */
function namedPipe(folder: string) {
  const path = join(folder, 'pipe')
  expect(Bun.spawnSync(['mkfifo', path]).exitCode).toBe(0)
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const buffer = Buffer.alloc(64 * 1024)
  return {
    /** @returns the pipe's content */
    read(): string {
      try {
        return buffer.toString('utf8', 0, readSync(fd, buffer))
      } catch {
        // The pipe is empty.
        return ''
      }
    },
    close: () => closeSync(fd),
  }
}

describe.skipIf(process.platform !== 'linux')('a gateway whose output nobody takes answers, and ends', () => {
  test.each([
    ['the log on a full disk', '>/dev/null 2>/dev/full'],
    ['both outputs on a full disk', '>/dev/full 2>&1'],
  ])('%s', async (_what, outputs) => {
    using folder = tempDir()
    await using gateway = gatewayInto(outputs, folder.path)
    await gateway.ready()
    await ask(gateway.url, REQUESTS)
    expect(await gateway.isHealthy()).toBe(true)
    expect(await gateway.stop()).toBe(0)
  })

  describe.each(['has gone', 'does not read'])('in a pipe whose reader %s', reader => {
    test.each([
      ['the log', '>/dev/null 2>pipe'],
      ['both outputs', '>pipe 2>&1'],
    ])('%s', async (_what, outputs) => {
      using folder = tempDir()
      const pipe = namedPipe(folder.path)
      await using gateway = gatewayInto(outputs, folder.path)
      await gateway.ready()
      if (reader === 'has gone') pipe.close()
      await ask(gateway.url, REQUESTS)
      expect(await gateway.isHealthy()).toBe(true)
      expect(await gateway.stop()).toBe(0)
      if (reader !== 'has gone') pipe.close()
    })
  })

  test('once it is read again, the log goes on with whole lines and the number of those that are missing', async () => {
    using folder = tempDir()
    const pipe = namedPipe(folder.path)
    await using gateway = gatewayInto('>/dev/null 2>pipe', folder.path)
    await gateway.ready()
    await ask(gateway.url, 2 * REQUESTS)
    let log = ''
    await waitFor(
      () => {
        log += pipe.read()
        return log.includes('"msg":"log lines were dropped"}\n')
      },
      { what: 'the number of dropped lines', deadlineMs: DEADLINE_MS },
    )
    const lines = log
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as { msg: string; dropped?: number })
    const told = lines.filter(line => line.msg === 'log lines were dropped')
    expect(told).toHaveLength(1)
    const written = lines.filter(line => line.msg === 'request').length
    expect((told[0]?.dropped ?? 0) + written).toBeGreaterThanOrEqual(2 * REQUESTS)
    expect(await gateway.stop()).toBe(0)
    pipe.close()
  })
})
