/** The gateway in this process, on a real port: `await using gateway = await testGateway()`. */
import { createApp } from '../../src/app.ts'
import { runCommandLine } from '../../src/cli/run.ts'
import { configFrom, parseEnvironment } from '../../src/config/index.ts'
import { createLogger } from '../../src/lib/logger.ts'
import { GatewayClient } from './gateway-client.ts'
import { freePort } from './program.ts'
import { SkippingClock } from './skipping-clock.ts'
import { tempDir } from './temp-dir.ts'

const CLIENT_ID = 'admin'
const CLIENT_SECRET = 'a secret of the tests'

export interface TestGateway extends AsyncDisposable {
  url: string
  /** Its working folder. */
  directory: string
  client: GatewayClient
  clock: SkippingClock
  /** Runs `meshgate bridge` with these words. @returns its output */
  meshgateBridge(...words: string[]): Promise<string>
}

/**
 * @param env settings beside the defaults
 * @param directory an earlier run's folder; by default a new one, removed at the end
 */
export async function testGateway(
  env: Record<string, string> = {},
  directory?: string,
): Promise<TestGateway> {
  const own = directory === undefined ? tempDir() : undefined
  const clock = new SkippingClock()
  const port = freePort()
  const environment = {
    PORT: String(port),
    BRIDGE_PORT: '0',
    CLIENT_ID,
    CLIENT_SECRET,
    SECRET_KEY: 'a secret key of the tests',
    LOG_LEVEL: process.env.TEST_LOG ?? 'silent',
    ...env,
  }
  const folder = directory ?? own?.path ?? ''
  const { config, secrets } = configFrom(parseEnvironment(environment), folder)
  const app = await createApp(config, secrets, { clock, logger: createLogger(config.logLevel) })
  await app.start()
  // The address it listens on; PUBLIC_URL may differ.
  const url = `http://localhost:${port}`
  return {
    url,
    directory: folder,
    clock,
    async meshgateBridge(...words) {
      const lines: string[] = []
      const print = (line: string) => void lines.push(line)
      const terminal = { directory: folder, environment, print, complain: print }
      const exitCode = await runCommandLine(['bridge', ...words], terminal)
      if (exitCode !== 0) throw new Error(`meshgate bridge ${words.join(' ')}: ${lines.join('\n')}`)
      return lines.join('\n')
    },
    client: new GatewayClient({ url, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET }),
    async [Symbol.asyncDispose]() {
      await app.stop()
      own?.[Symbol.dispose]()
    },
  }
}
