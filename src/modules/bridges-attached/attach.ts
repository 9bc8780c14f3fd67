/**
 * `meshgate bridge add` and `remove`: make a bridge's configuration, its registration and its row,
 * and take them away. Nothing is written when something is wrong.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Base,
  type BridgeConfigFile,
  type BridgeDatabase,
  bridgeConfigFile,
  type Layout,
} from '../../bridges/setup/config-file.ts'
import { historySettings } from '../../bridges/setup/history.ts'
import { knownNetwork } from '../../bridges/setup/networks.ts'
import { bridgeNamespaces, registrationYaml } from '../../bridges/setup/registration.ts'
import { forgetSavedState } from '../../bridges/setup/saved-state.ts'
import { STATUS_PATH } from '../../bridges/status-receiver.ts'
import type { BridgeNamespaces } from '../../db/schema/index.ts'
import { GatewayError, messageOf } from '../../domain/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { isLoopback } from '../../lib/hosts.ts'
import { randomToken } from '../../lib/tokens.ts'
import { outputFiles } from '../../runtime/output-file.ts'
import { RECORD_FILE } from '../../runtime/supervised-process.ts'
import type { DeviceRepository } from '../devices/device-repository.ts'
import { identityNamespace } from '../tenants/identities.ts'
import { type BridgeSideAddresses, portOf } from './bridge-urls.ts'
import type { AttachedBridge, AttachedBridges } from './bridges-attached.ts'
import type { AttachedBridgeRepository } from './repository.ts'

export interface AttachRequest {
  platform: string
  /** How the homeserver and the gateway reach the bridge, without a trailing slash. */
  url: string
  /** The example configuration, or the one in use; null: the bridge completes ours at its start. */
  base: Base | null
  /** The gateway is to run this; null: somebody else runs the bridge. */
  command: string[] | null
  /** Version of that program, where we fetched it. */
  version: string | null
  /** How the bridge reaches us; null: as the configuration in use says. */
  addresses: BridgeSideAddresses | null
  serverName: string
  /**
   * Why the homeserver lets the bridge act as our users (double puppeting): it lets every attached
   * bridge, or one whose registration says so, or one that has such a token.
   */
  puppets: { by: 'homeserver' | 'registration' } | { by: 'token'; token: string }
  /** PostgreSQL's URI, or a SQLite file; undefined: a file in `dir`, or as in the configuration. */
  database: string | undefined
  /** Folder for the configuration, made when missing. */
  dir: string
  /** True to bring messages from before a link; null: as its configuration says. */
  history: boolean | null
  /** Further keys of the configuration, such as `network.api_id`. */
  extra: Readonly<Record<string, string>>
  /** Writes the files of a platform that is attached; its tokens and its secret stay. */
  force: boolean
}

export interface Attached {
  bridge: AttachedBridge
  layout: Layout
  configFile: string
  registrationFile: string
  /** Settings that only the operator can fill in, empty when there are none. */
  missing: { keys: string[]; from: string } | null
}

/** Our own application service, and the prefix of the sandbox's. */
const RESERVED_IDS = /^(meshgate|sandbox-.*)$/
const PLATFORM_NAME = /^[a-z][a-z0-9]*$/

/** @throws GatewayError bad_request or conflict, naming the option and what was expected */
export async function attachBridge(
  request: AttachRequest,
  { bridges, clock }: { bridges: AttachedBridges; clock: Clock },
): Promise<Attached> {
  const { platform, dir } = request
  const known = await refuseAttached(platform, bridges, request.force)
  const secrets = {
    asToken: known?.asToken ?? randomToken('as_'),
    hsToken: known?.hsToken ?? randomToken('hs_'),
    secret: known?.secret ?? randomToken(''),
  }
  const file = configFor(request, secrets)
  await refuseTaken(request, file.id, bridges)
  const { url } = request
  const now = clock.now()
  const bridge: AttachedBridge = {
    platform,
    url,
    registrationId: file.id,
    // Bridges of other families have no other bot than the registration's sender.
    senderLocalpart: file.botLocalpart,
    botLocalpart: file.botLocalpart,
    asToken: secrets.asToken,
    hsToken: secrets.hsToken,
    secret: file.hasProvisioning ? secrets.secret : null,
    namespaces: namespacesOf(request, file),
    command: request.command,
    version: request.version,
    update: null,
    dir,
    createdAt: known?.createdAt ?? now,
    updatedAt: now,
  }
  const paths = writeFiles(
    dir,
    file.text,
    registrationYaml({ ...bridge, id: bridge.registrationId }),
    request.force,
  )
  await (known ? bridges.replace(bridge) : bridges.insert(bridge))
  return { bridge, layout: file.layout, ...paths, missing: missingOf(request, file.layout) }
}

/**
 * @param force a platform that has a bridge is no reason to refuse
 * @returns the platform's bridge
 * @throws GatewayError bad_request or conflict
 */
export async function refuseAttached(
  platform: string,
  bridges: Pick<AttachedBridges, 'find'>,
  force: boolean,
): Promise<AttachedBridge | null> {
  if (!PLATFORM_NAME.test(platform)) {
    throw new GatewayError(
      'bad_request',
      `platform: "${platform}" isn't a platform name: expected lowercase letters and digits, like wa or signal`,
    )
  }
  const known = await bridges.find(platform)
  if (known && !force) {
    throw new GatewayError(
      'conflict',
      `platform: ${platform} has a bridge already (${known.url}); --force changes it, and keeps its tokens`,
    )
  }
  if (known?.update?.failure === null) {
    throw new GatewayError(
      'conflict',
      `platform: ${known.update.version} of the ${platform} bridge is being tried: wait until that has an end`,
    )
  }
  return known
}

function configFor(
  request: AttachRequest,
  secrets: { asToken: string; hsToken: string; secret: string },
): BridgeConfigFile {
  const { platform, url, addresses, serverName } = request
  const network = knownNetwork(platform)
  const id = network?.id ?? platform
  const isLocal = isLoopback(new URL(url).hostname)
  return bridgeConfigFile(request.base, {
    ...secrets,
    puppetToken: request.puppets.by === 'token' ? request.puppets.token : secrets.asToken,
    serverName,
    homeserver: addresses && {
      address: addresses.homeserver,
      statusEndpoint: addresses.gateway && `${addresses.gateway}${STATUS_PATH}/${platform}`,
    },
    address: url,
    // A bridge that is elsewhere, as in a container of its own, must be reachable from outside.
    listen: { hostname: isLocal ? '127.0.0.1' : '0.0.0.0', port: portOf(url) },
    database: databaseOf(request, isLocal),
    names: {
      id,
      botLocalpart: `${id}bot`,
      usernameTemplate: `${id}_{{.}}`,
      // The example's names are those of the program, which serves several networks.
      force: network?.hasOwnNames === true,
    },
    preset: network?.settings ?? {},
    history: historySettings(request.history, network),
    extra: request.extra,
  })
}

function namespacesOf({ serverName, puppets }: AttachRequest, file: BridgeConfigFile): BridgeNamespaces {
  const { botLocalpart, usernameTemplate, aliasTemplate } = file
  const own = bridgeNamespaces(serverName, botLocalpart, usernameTemplate, aliasTemplate)
  if (puppets.by !== 'registration') return own
  return { ...own, users: [...own.users, { regex: identityNamespace(serverName), exclusive: false }] }
}

/** A bridge in a container sees `dir` under another path: its file is in its working directory. */
function databaseOf({ base, database, dir }: AttachRequest, isLocal: boolean): BridgeDatabase | null {
  if (database === undefined && base?.isInUse) return null
  if (database === undefined) return { kind: 'sqlite', path: isLocal ? join(dir, 'bridge.db') : 'bridge.db' }
  if (/^postgres(ql)?:/.test(database)) return { kind: 'postgres', uri: database }
  return { kind: 'sqlite', path: database.replace(/^(file|sqlite):(\/\/(?=\/))?/, '').replace(/\?.*$/, '') }
}

/** Bridges share neither an address nor the names that follow from an id. */
async function refuseTaken(
  { platform, url }: Pick<AttachRequest, 'platform' | 'url'>,
  id: string,
  bridges: AttachedBridges,
): Promise<void> {
  const others = (await bridges.list()).filter(bridge => bridge.platform !== platform)
  const neighbour = others.find(bridge => bridge.url === url)
  if (neighbour) {
    throw new GatewayError(
      'conflict',
      `--url: the ${neighbour.platform} bridge is at ${url}; each bridge needs its own`,
    )
  }
  const other = others.find(bridge => bridge.registrationId === id)
  if (!other && !RESERVED_IDS.test(id)) return
  const whose = other ? `the bridge of ${other.platform}` : 'the gateway itself'
  throw new GatewayError(
    'conflict',
    `appservice.id: "${id}" is the id of ${whose}; give this one its own names with --set appservice.id=…, --set appservice.bot.username=… and --set appservice.username_template=…`,
  )
}

function writeFiles(
  dir: string,
  config: string,
  registration: string,
  force: boolean,
): { configFile: string; registrationFile: string } {
  const configFile = join(dir, 'config.yaml')
  const registrationFile = join(dir, 'registration.yaml')
  for (const file of [configFile, registrationFile]) {
    if (!force && existsSync(file))
      throw new GatewayError('conflict', `--dir: ${file} exists; --force writes it anew`)
  }
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    chmodSync(dir, 0o700)
    for (const [file, text] of [
      [configFile, config],
      [registrationFile, registration],
    ] as const) {
      writeFileSync(file, text, { mode: 0o600 })
      chmodSync(file, 0o600)
    }
  } catch (error) {
    throw new GatewayError('bad_request', `--dir: ${dir} can't be written: ${messageOf(error)}`)
  }
  return { configFile, registrationFile }
}

/** Settings that the network asks of each operator, such as API keys, and that nobody has set. */
function missingOf({ platform, base, extra }: AttachRequest, layout: Layout): Attached['missing'] {
  const needs = base?.isInUse ? undefined : knownNetwork(platform)?.needs
  const all = needs?.names.map(name => `${needs.section[layout]}.${name}`) ?? []
  const keys = all.filter(key => extra[key] === undefined)
  return needs && keys.length > 0 ? { keys, from: needs.from } : null
}

/** Our files in a bridge's folder; anything else there is somebody's own. */
const OUR_FILES = [
  'config.yaml',
  'registration.yaml',
  'bridge.db',
  'bridge.db-wal',
  'bridge.db-shm',
  'bin',
  ...outputFiles(''),
  RECORD_FILE,
]

/** Removes what `attachBridge` and the bridge wrote, and the folder when nothing else is in it. */
export function removeBridgeFiles(dir: string): void {
  forgetSavedState(dir)
  for (const file of OUR_FILES) rmSync(join(dir, file), { force: true, recursive: true })
  if (existsSync(dir) && readdirSync(dir).length === 0) rmdirSync(dir)
}

/** Why the devices of a platform are logged out when its bridge goes. */
export const TAKEN_AWAY = 'the bridge was taken away'

/**
 * Ends a bridge's logins with it.
 * @param isGatewayRunning a running gateway follows by itself, and marks the devices once it no
 * longer asks the bridge
 * @returns the folder of the bridge's files
 * @throws GatewayError not_found
 */
export async function detachBridge(
  platform: string,
  {
    bridges,
    devices,
    isGatewayRunning,
    clock,
  }: {
    bridges: Pick<AttachedBridgeRepository, 'find' | 'remove'>
    devices: Pick<DeviceRepository, 'linkedOn' | 'setState'>
    isGatewayRunning: boolean
    clock: Clock
  },
): Promise<string> {
  const row = await bridges.find(platform)
  if (!row) throw new GatewayError('not_found', `platform: there is no attached bridge "${platform}"`)
  await bridges.remove(platform)
  if (!isGatewayRunning) {
    const ids = (await devices.linkedOn(platform)).map(({ id }) => id)
    if (ids.length > 0) await devices.setState(ids, 'logged_out', TAKEN_AWAY, clock.now())
  }
  return row.dir
}
