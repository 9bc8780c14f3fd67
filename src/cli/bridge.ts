/** `meshgate bridge add|list|check|remove`: the bridges to real networks. A running gateway takes up what changes here within two seconds. */
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { exampleFromFile, exampleFromProgram, findProgram } from '../bridges/setup/example.ts'
import { type KnownNetwork, knownNetwork } from '../bridges/setup/networks.ts'
import { type Config, type Secrets, withAbsoluteProgram } from '../config/index.ts'
import { migrateUp } from '../db/migrate.ts'
import { openDb } from '../db/open.ts'
import { messageOf } from '../domain/errors.ts'
import { systemClock } from '../lib/clock.ts'
import { commandWords } from '../lib/command-words.ts'
import { createSealer } from '../lib/sealing.ts'
import { addressesForBridge } from '../modules/attached-bridges/addresses.ts'
import { type Attached, attachBridge, removeBridgeFiles } from '../modules/attached-bridges/attach.ts'
import { type AttachedBridges, createAttachedBridges } from '../modules/attached-bridges/attached-bridges.ts'
import { createAttachedBridgeRepository } from '../modules/attached-bridges/repository.ts'
import { isRunning } from '../runtime/process-table.ts'
import { readProcessRecord } from '../runtime/supervised-process.ts'
import { namingDatabase } from './failures.ts'
import { textTable } from './table.ts'
import { CommandError, loadConfig, type Terminal } from './terminal.ts'

interface AddOptions {
  url?: string
  command?: string
  example?: string
  homeserverUrl?: string
  gatewayUrl?: string
  database?: string
  dir?: string
  set: string[]
  force: boolean
}

export function addBridgeCommand(program: Command, terminal: Terminal): void {
  const bridge = program.command('bridge').description('bridges to real networks')
  bridge
    .command('add')
    .description('attach a bridge: writes its configuration and registers it')
    .argument('<platform>', 'its name in the API, such as wa, signal, telegram')
    .option('--url <url>', 'how the homeserver and the gateway reach the bridge')
    .option('--command <command>', 'the program, for the gateway to run')
    .option('--example <file>', "the bridge's example configuration, where its program isn't on this machine")
    .option('--homeserver-url <url>', 'how the bridge reaches the homeserver')
    .option('--gateway-url <url>', 'how the bridge reaches this gateway')
    .option('--database <uri>', "the bridge's database: postgres://… or a SQLite file")
    .option('--dir <folder>', "for the bridge's files; by default bridges/<platform> in DATA_DIR")
    .option(
      '--set <key=value>',
      'a further key of its configuration, such as network.api_id=12345; repeatable',
      collect,
      [],
    )
    .option('--force', 'write the configuration of an attached bridge anew; its tokens stay', false)
    .action((platform: string, options: AddOptions) => add(terminal, platform, options))
  bridge
    .command('list')
    .description('list the attached bridges')
    .action(() => list(terminal))
  bridge
    .command('remove')
    .description('take a bridge away: unregisters it, and its devices are logged out')
    .argument('<platform>')
    .option('--keep-files', 'leave its configuration and its database where they are', false)
    .action((platform: string, { keepFiles }: { keepFiles: boolean }) =>
      remove(terminal, platform, keepFiles),
    )
}

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}

async function add(terminal: Terminal, platform: string, options: AddOptions): Promise<void> {
  const network = knownNetwork(platform)
  const url = httpUrl('--url', options.url ?? defaultUrl(network))
  const command = options.command === undefined ? null : commandOf(options.command, terminal.directory)
  await withBridges(terminal, async (bridges, { config }) => {
    const dir =
      options.dir === undefined
        ? join(config.data.dir, 'bridges', platform)
        : resolve(terminal.directory, options.dir)
    const example = await exampleOf(terminal, options, command, network)
    const attached = await attachBridge(
      {
        platform,
        url,
        example: example.text,
        command,
        addresses: addressesForBridge(config, url, {
          homeserverUrl: optionalUrl('--homeserver-url', options.homeserverUrl),
          gatewayUrl: optionalUrl('--gateway-url', options.gatewayUrl),
        }),
        serverName: config.matrix.serverName,
        database: options.database,
        dir,
        extra: Object.fromEntries(options.set.map(keyAndValue)),
        force: options.force,
      },
      { bridges, clock: systemClock },
    )
    tell(terminal, attached, config, example.program)
  })
}

async function list(terminal: Terminal): Promise<void> {
  await withBridges(terminal, async bridges => {
    const rows = (await bridges.list()).map(({ platform, url, command, dir }) => [
      platform,
      url,
      command ? processState(dir) : '-',
      dir,
    ])
    for (const line of textTable(['platform', 'url', 'process', 'files'], rows)) terminal.print(line)
  })
}

async function remove(terminal: Terminal, platform: string, keepFiles: boolean): Promise<void> {
  await withBridges(terminal, async (bridges, { config }) => {
    const bridge = await bridges.find(platform)
    if (!bridge) throw new CommandError(`platform: there is no attached bridge "${platform}"`)
    await bridges.remove(platform, 'the bridge was taken away', systemClock.now())
    if (!keepFiles) removeBridgeFiles(bridge.dir)
    terminal.print(`took the ${platform} bridge away${keepFiles ? `; its files stay in ${bridge.dir}` : ''}`)
    if (config.matrix.homeserverUrl !== undefined)
      terminal.print('Take its registration out of the homeserver’s configuration, and restart that.')
  })
}

/** What the gateway that runs the bridge's program notes in its folder. */
function processState(dir: string): string {
  const record = readProcessRecord(dir)
  if (!record) return 'not running'
  const { pid, command, restarts, lastExit } = record
  const state = pid !== null && isRunning(pid, command) ? `process ${pid}` : 'not running'
  if (lastExit === null) return state
  return `${state} (${restarts} ${restarts === 1 ? 'restart' : 'restarts'}, last: ${lastExit})`
}

function defaultUrl(network: KnownNetwork | undefined): string {
  if (network) return `http://127.0.0.1:${network.port}`
  throw new CommandError('--url: expected the address of the bridge, such as http://127.0.0.1:29318')
}

/** The program, with a path that doesn't depend on where it is started from. */
function commandOf(line: string, directory: string): string[] {
  let words: string[]
  try {
    words = commandWords(line)
  } catch (error) {
    throw new CommandError(`--command: ${messageOf(error)}`)
  }
  if (words.length === 0) throw new CommandError('--command: expected a program')
  return withAbsoluteProgram(words, directory)
}

/** From the file or program that was named, else from the network's own program where it is installed. */
async function exampleOf(
  terminal: Terminal,
  options: AddOptions,
  command: string[] | null,
  network: KnownNetwork | undefined,
): Promise<{ text: string | null; program: string | null }> {
  const installed = network && findProgram(network.program, terminal.environment.PATH ?? '')
  const program = command?.[0] ?? installed ?? null
  if (options.example !== undefined)
    return { text: exampleFromFile(resolve(terminal.directory, options.example)), program }
  if (command) return { text: await exampleFromProgram(command), program }
  if (installed) return { text: await exampleFromProgram([installed]), program }
  return { text: null, program }
}

function tell(terminal: Terminal, attached: Attached, config: Config, program: string | null): void {
  const { bridge, configFile, registrationFile, missing } = attached
  const { platform } = bridge
  terminal.print(`attached the ${platform} bridge at ${bridge.url}`)
  terminal.print(`  configuration  ${configFile}`)
  terminal.print(`  registration   ${registrationFile}`)
  if (bridge.secret === null) {
    terminal.print('  It has no provisioning API: it is driven by commands to its bot.')
  }
  let step = 1
  const next = (text: string) => terminal.print(`${step++}. ${text}`)
  terminal.print('Next:')
  if (missing) {
    next(
      `Set ${missing.keys.join(' and ')} (from ${missing.from}): meshgate bridge add ${platform} --force … ${missing.keys.map(key => `--set ${key}=…`).join(' ')}`,
    )
  }
  if (config.matrix.homeserverUrl !== undefined) {
    next(`Add the registration to the homeserver, and restart it. For Synapse, in homeserver.yaml:`)
    terminal.print('     app_service_config_files:')
    terminal.print(`       - ${registrationFile}`)
  }
  if (bridge.command) next(`The gateway runs ${bridge.command.join(' ')} by itself, now or when it starts.`)
  else
    next(
      `Start the bridge: cd ${bridge.dir} && ${program ?? knownNetwork(platform)?.program ?? 'its program'} -c config.yaml`,
    )
  next(`See whether all is well: meshgate bridge check ${platform}`)
  next(`Link an account: POST /api/v1/devices {"platform": "${platform}"}`)
}

function keyAndValue(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new CommandError(`--set: "${text}": expected key=value, such as network.api_id=12345`)
  return [text.slice(0, at), text.slice(at + 1)]
}

function optionalUrl(option: string, text: string | undefined): string | undefined {
  return text === undefined ? undefined : httpUrl(option, text)
}

function httpUrl(option: string, text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text.replace(/\/+$/, '')
  throw new CommandError(`${option}: "${text}": expected an http:// or https:// address`)
}

async function withBridges(
  terminal: Terminal,
  work: (bridges: AttachedBridges, settings: { config: Config; secrets: Secrets }) => Promise<void>,
): Promise<void> {
  const settings = loadConfig(terminal)
  const { databaseFile } = settings.config.data
  try {
    const db = openDb(databaseFile)
    try {
      migrateUp(db.connection, systemClock.now())
      const sealer = createSealer(settings.secrets.secretKey)
      await work(createAttachedBridges({ repository: createAttachedBridgeRepository(db), sealer }), settings)
    } finally {
      db.close()
    }
  } catch (error) {
    throw namingDatabase(error, databaseFile)
  }
}
