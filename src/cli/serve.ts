/** `meshgate serve`: runs the gateway until a signal stops it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type App, createApp, type Started } from '../app.ts'
import { type Config, readEnvSource, type Secrets } from '../config/index.ts'
import { listenError } from '../http/listen-error.ts'
import { systemClock, within } from '../lib/clock.ts'
import { describeFailure, namingDatabase } from './failures.ts'
import { writeCredentials } from './setup.ts'
import { loadConfig, type Terminal } from './terminal.ts'

/** The process ends within ten seconds of a signal; unfinished work goes on at the next start. */
const DRAIN_TIMEOUT_MS = 9_000

/** Resolves when a signal has stopped the gateway. */
export async function serve(terminal: Terminal, version: string): Promise<void> {
  const wroteEnv = writeEnvIfNeeded(terminal)
  const { config, secrets } = loadConfig(terminal)
  const { app, started } = await start(config, secrets, version)
  announce(terminal, started, version, wroteEnv)
  if (wroteEnv && terminal.isInteractive) void offerLink(terminal, started)
  // A service manager sends SIGHUP to reload; at a terminal without TLS the signal ends us.
  if (config.http.tls || !process.stdin.isTTY) process.on('SIGHUP', () => app.reloadCertificate())
  await stopSignal()
  await within(systemClock, DRAIN_TIMEOUT_MS, app.stop())
}

/** In development the first start makes the missing credentials and keeps them in .env. */
function writeEnvIfNeeded(terminal: Terminal): boolean {
  const source = readEnvSource(terminal.directory, terminal.environment)
  const missing = ['CLIENT_ID', 'CLIENT_SECRET', 'SECRET_KEY'].some(name => !source[name])
  if (!missing || source.APP_MODE === 'production') return false
  return writeCredentials(terminal) !== null
}

async function start(
  config: Config,
  secrets: Secrets,
  version: string,
): Promise<{ app: App; started: Started }> {
  let app: App | undefined
  try {
    app = await createApp(config, secrets, { version })
    return { app, started: await app.start() }
  } catch (error) {
    await app?.stop().catch(() => undefined)
    throw namingSetting(error, config)
  }
}

/** Names the setting behind the address or file that the system's error mentions. */
function namingSetting(error: unknown, { http, data }: Config): unknown {
  const listening = listenError(error, http, { host: 'HOST', port: 'PORT' })
  return listening ?? namingDatabase(error, data.databaseFile)
}

function announce(
  terminal: Terminal,
  { url, simulated, bridged, bridgeUrl }: Started,
  version: string,
  wroteEnv: boolean,
): void {
  terminal.print(`meshgate ${version} is ready at ${url}`)
  terminal.print(`  API page     ${url}/docs/index.html`)
  if (bridged.length > 0) terminal.print(`  bridges      ${bridged.join(', ')}`)
  if (bridgeUrl !== null) terminal.print(`  for bridges  ${bridgeUrl}`)
  if (simulated.length > 0) {
    terminal.print(
      `  sandbox      ${url}/sandbox (simulated phones for ${simulated.join(', ')}: no real messages)`,
    )
  }
  const file = join(terminal.directory, '.env')
  const where = existsSync(file) ? `in ${file}` : 'of the environment'
  terminal.print(`  credentials  CLIENT_ID and CLIENT_SECRET ${where}${wroteEnv ? ' (written now)' : ''}`)
}

/** Somebody who runs it for the first time can have a phone at once. */
async function offerLink(terminal: Terminal, { simulated, bridged }: Started): Promise<void> {
  const platforms = [...bridged, ...simulated.filter(platform => !bridged.includes(platform))]
  const { offeredLink } = await import('./link/offer.ts')
  await offeredLink(terminal, platforms).catch(error => terminal.complain(describeFailure(error)))
}

/** Resolves at the first SIGINT or SIGTERM; the second ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise(resolve => {
    let asked = false
    const onSignal = (_signal: NodeJS.Signals, number: number) => {
      // The exit code of an uncaught signal: 128 + its number.
      if (asked) process.exit(128 + number)
      asked = true
      resolve()
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
  })
}
