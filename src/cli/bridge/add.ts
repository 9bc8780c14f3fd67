/** `meshgate bridge add`: attaches a bridge and says what to do next. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Base } from '../../bridges/setup/config-file.ts'
import { portIn } from '../../bridges/setup/example.ts'
import { type KnownNetwork, knownNetwork, NETWORK_NAMES } from '../../bridges/setup/networks.ts'
import { exampleFromFile, exampleFromProgram, locateProgram } from '../../bridges/setup/program.ts'
import { type Config, childEnvironment, type Secrets } from '../../config/index.ts'
import type { Db } from '../../db/open.ts'
import { messageOf } from '../../domain/errors.ts'
import { systemClock } from '../../lib/clock.ts'
import { commandWords } from '../../lib/command-words.ts'
import { meantBy } from '../../lib/did-you-mean.ts'
import {
  type Attached,
  type AttachRequest,
  attachBridge,
  refuseAttached,
} from '../../modules/bridges-attached/attach.ts'
import { addressesForBridge, addressTrouble } from '../../modules/bridges-attached/bridge-urls.ts'
import { type AttachedBridge, startCommandOf } from '../../modules/bridges-attached/bridges-attached.ts'
import { withBridges } from '../database.ts'
import { baseUrl, CommandError, type Terminal } from '../terminal.ts'
import { type FetchOptions, fetchedProgram } from './fetched-program.ts'

export interface AddOptions extends FetchOptions {
  url?: string
  command?: string
  example?: string
  homeserverUrl?: string
  gatewayUrl?: string
  database?: string
  dir?: string
  history?: string
  set: string[]
  force: boolean
}

export async function add(terminal: Terminal, platform: string, options: AddOptions): Promise<void> {
  const given = {
    homeserverUrl: optionalUrl('--homeserver-url', options.homeserverUrl),
    gatewayUrl: optionalUrl('--gateway-url', options.gatewayUrl),
  }
  const givenUrl = optionalUrl('--url', options.url)
  const extra = Object.fromEntries(options.set.map(keyAndValue))
  const network = knownNetwork(platform)
  const isHistoryWanted = historyOption(options.history)
  await withBridges(terminal, async (bridges, { config, secrets, db }) => {
    const known = await refuseAttached(platform, bridges, options.force)
    const ownDir = known?.dir ?? join(config.data.dir, 'bridges', platform)
    const dir = options.dir === undefined ? ownDir : resolve(terminal.directory, options.dir)
    const { command, version, fetched } = isToBeFetched(options, network, known)
      ? await fetchedNow(terminal, platform, network, options, { dir, db, known })
      : givenProgram(terminal, options, known)
    try {
      const inUse = known && options.example === undefined ? configInUse(dir) : null
      const example = await exampleOf(terminal, options, command, network, inUse)
      const url = givenUrl ?? known?.url ?? urlOf(platform, network, command && example.base)
      const isUnsaid = given.homeserverUrl === undefined && given.gatewayUrl === undefined
      const attached = await attachBridge(
        {
          platform,
          url,
          base: example.base,
          command,
          version,
          addresses: inUse && isUnsaid ? null : addressesForBridge(config, url, given),
          serverName: config.matrix.serverName,
          puppets: puppetsOf(secrets),
          database: options.database,
          dir,
          history: historyFor(config, isHistoryWanted, inUse !== null),
          extra,
          force: options.force,
        },
        { bridges, clock: systemClock },
      )
      tell(terminal, attached, config, example.program, addressTrouble(config, url, given))
    } catch (error) {
      if (fetched !== null) rmSync(fetched, { force: true })
      throw error
    }
  })
}

/** The program that the gateway is to run. */
interface GivenProgram extends Pick<AttachedBridge, 'command' | 'version'> {
  /** A file that is of no use when attaching fails. */
  fetched: string | null
}

/** The program of a new bridge is fetched, unless an option says that it is elsewhere. */
function isToBeFetched(
  { command, example, url, from, version }: AddOptions,
  network: KnownNetwork | undefined,
  known: AttachedBridge | null,
): boolean {
  const isAsked = from !== undefined || version !== undefined
  if (isAsked && command !== undefined) {
    throw new CommandError('--command: expected either a program of yours, or --from and --version')
  }
  const isElsewhere = command !== undefined || example !== undefined || url !== undefined
  return isAsked || (network?.release !== undefined && !isElsewhere && !known)
}

async function fetchedNow(
  terminal: Terminal,
  platform: string,
  network: KnownNetwork | undefined,
  options: AddOptions,
  { dir, db, known }: { dir: string; db: Db; known: AttachedBridge | null },
): Promise<GivenProgram> {
  const { file, version } = await fetchedProgram(terminal, platform, network, options, { dir, db })
  return { command: [file], version, fetched: known?.command?.[0] === file ? null : file }
}

function givenProgram(
  terminal: Terminal,
  { command }: AddOptions,
  known: AttachedBridge | null,
): GivenProgram {
  if (command !== undefined) return { command: commandOf(command, terminal), version: null, fetched: null }
  return { command: known?.command ?? null, version: known?.version ?? null, fetched: null }
}

/**
 * At an external homeserver our application service may act as our users, and the bridge uses its
 * token. Without one, the bridge's registration claims our users; the bridge then also receives and
 * ignores events of their other rooms.
 */
function puppetsOf({ accounts }: Secrets): AttachRequest['puppets'] {
  if (accounts === undefined) return { by: 'homeserver' }
  return accounts.kind === 'appservice' ? { by: 'token', token: accounts.asToken } : { by: 'registration' }
}

function historyOption(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined
  if (text === 'on' || text === 'off') return text === 'on'
  throw new CommandError(`--history: expected on or off, got "${text}"`)
}

/** A new bridge brings history where the homeserver takes it, which no other than ours does. */
function historyFor({ matrix }: Config, wanted: boolean | undefined, isInUse: boolean): boolean | null {
  const isExternal = matrix.homeserverUrl !== undefined
  if (isExternal && wanted)
    throw new CommandError('--history: only the embedded homeserver takes messages from before a link')
  return wanted ?? (isExternal || isInUse ? null : true)
}

/** Configuration an attached bridge runs with, including the operator's changes. */
function configInUse(dir: string): string | null {
  const file = join(dir, 'config.yaml')
  return existsSync(file) ? readFileSync(file, 'utf8') : null
}

/** @param base example of a program the gateway runs, so on this machine */
function urlOf(platform: string, network: KnownNetwork | undefined, base: Base | null): string {
  const port = network?.port ?? (base && portIn(base.text))
  if (port) return `http://127.0.0.1:${port}`
  const meant = meantBy(platform, NETWORK_NAMES)
  throw new CommandError(
    `--url: expected the address of the bridge, such as http://127.0.0.1:29318: no bridge is known to fetch for "${platform}"${meant ? `; did you mean ${meant}?` : ''}`,
  )
}

/** Makes the program's path independent of who starts it and from where. */
function commandOf(line: string, { directory, environment }: Terminal): string[] {
  let words: string[]
  try {
    words = commandWords(line)
  } catch (error) {
    throw new CommandError(`--command: ${messageOf(error)}`)
  }
  if (words.length === 0) throw new CommandError('--command: expected a program')
  return locateProgram(words, { directory, path: environment.PATH ?? '' })
}

/** The example in use, else from the given file or program, else from the installed program. */
async function exampleOf(
  terminal: Terminal,
  options: AddOptions,
  command: string[] | null,
  network: KnownNetwork | undefined,
  inUse: string | null,
): Promise<{ base: Base | null; program: string | null }> {
  const { environment } = terminal
  const installed = network && Bun.which(network.program, { PATH: environment.PATH ?? '' })
  const program = command?.[0] ?? installed ?? null
  const asked = command ?? (installed ? [installed] : null)
  const askProgram = async () => (asked ? exampleFromProgram(asked, childEnvironment(environment)) : null)
  if (inUse !== null) {
    // Only new settings need the example.
    const example = options.set.length > 0 ? await askProgram().catch(() => null) : null
    return { base: { text: inUse, isInUse: true, example }, program }
  }
  const text =
    options.example === undefined
      ? await askProgram()
      : exampleFromFile(resolve(terminal.directory, options.example))
  return { base: text === null ? null : { text, isInUse: false }, program }
}

function tell(
  terminal: Terminal,
  attached: Attached,
  config: Config,
  program: string | null,
  trouble: string | null,
): void {
  const { bridge, configFile, registrationFile, missing } = attached
  const { platform } = bridge
  terminal.print(`attached the ${platform} bridge at ${bridge.url}`)
  terminal.print(`  configuration  ${configFile}`)
  terminal.print(`  registration   ${registrationFile}`)
  if (bridge.secret === null) {
    terminal.print('  It has no provisioning API: it is driven by commands to its bot.')
  }
  const isNew = bridge.createdAt === bridge.updatedAt
  if (isNew && config.sandbox.some(simulated => simulated === platform))
    terminal.print(`  The simulated ${platform} ends, and the devices that were linked on it.`)
  let step = 1
  const next = (text: string) => terminal.print(`${step++}. ${text}`)
  terminal.print('Next:')
  if (missing) {
    next(
      `Set ${missing.keys.join(' and ')} (from ${missing.from}): meshgate bridge add ${platform} --force ${missing.keys.map(key => `--set ${key}=…`).join(' ')}`,
    )
  }
  if (trouble !== null) next(trouble)
  if (config.matrix.homeserverUrl !== undefined) {
    next(`Add the registration to the homeserver, and restart it. For Synapse, in homeserver.yaml:`)
    terminal.print('     app_service_config_files:')
    terminal.print(`       - ${registrationFile}`)
  }
  if (bridge.command) next(`The gateway runs ${bridge.command.join(' ')} by itself, now or when it starts.`)
  else next(`Start the bridge: ${startCommandOf(bridge, program ?? undefined)}`)
  next(`See whether all is well: meshgate bridge check ${platform}`)
  next(`Link a phone: meshgate link ${platform}`)
}

function keyAndValue(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new CommandError(`--set: "${text}": expected key=value, such as network.api_id=12345`)
  return [text.slice(0, at), text.slice(at + 1)]
}

function optionalUrl(option: string, text: string | undefined): string | undefined {
  return text === undefined ? undefined : baseUrl(option, text)
}
