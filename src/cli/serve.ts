/** `meshgate serve`: starts the gateway and stops it on a signal. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type App, createApp } from '../app.ts'
import { type Config, readEnvSource } from '../config/index.ts'
import { codeOf } from './failures.ts'
import { writeFreshEnv } from './setup.ts'
import { CommandError, loadConfig, type Terminal } from './terminal.ts'

/** After a signal the process is gone within ten seconds; what isn't finished by then is on disk and goes on at the next start. */
const DRAIN_TIMEOUT_MS = 9_000

/** Resolves when a signal has stopped the gateway. */
export async function serve(terminal: Terminal, version: string): Promise<void> {
  const wroteEnv = writeEnvIfNeeded(terminal)
  const { config, secrets } = loadConfig(terminal)
  const app = await createApp(config, secrets, { version })
  const { url } = await start(app, config)
  announce(terminal, config, url, version, wroteEnv)
  await stopSignal()
  await stopInTime(app)
}

/** In development the first start needs no preparation: what a credential needs is made up, and kept in .env. */
function writeEnvIfNeeded(terminal: Terminal): boolean {
  const source = readEnvSource(terminal.directory, terminal.environment)
  const missing = ['CLIENT_ID', 'CLIENT_SECRET', 'SECRET_KEY'].some(name => !source[name])
  return missing && source.APP_MODE !== 'production' && writeFreshEnv(join(terminal.directory, '.env'))
}

async function start(app: App, { http }: Config): Promise<{ url: string }> {
  try {
    return await app.start()
  } catch (error) {
    await app.stop().catch(() => undefined)
    if (codeOf(error) === 'EADDRINUSE') {
      throw new CommandError(
        `PORT: ${http.host}:${http.port} is in use; stop what listens there, or set another PORT`,
      )
    }
    throw error
  }
}

function announce(terminal: Terminal, config: Config, url: string, version: string, wroteEnv: boolean): void {
  terminal.print(`meshgate ${version} is ready at ${url}`)
  terminal.print(`  API page     ${url}/docs/index.html`)
  if (config.sandbox.length > 0) {
    terminal.print(
      `  sandbox      ${url}/sandbox (simulated phones for ${config.sandbox.join(', ')}: no real messages)`,
    )
  }
  const file = join(terminal.directory, '.env')
  const where = existsSync(file) ? `in ${file}` : 'of the environment'
  terminal.print(`  credentials  CLIENT_ID and CLIENT_SECRET ${where}${wroteEnv ? ' (written now)' : ''}`)
}

/** Resolves at the first SIGINT or SIGTERM; the second ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise(resolve => {
    let asked = false
    const onSignal = (_signal: NodeJS.Signals, number: number) => {
      // As if the signal had not been caught: 128 + its number.
      if (asked) process.exit(128 + number)
      asked = true
      resolve()
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
  })
}

async function stopInTime(app: App): Promise<void> {
  const timeout = Promise.withResolvers<void>()
  const timer = setTimeout(timeout.resolve, DRAIN_TIMEOUT_MS)
  await Promise.race([app.stop(), timeout.promise])
  clearTimeout(timer)
}
