/**
 * Makes a bridge's configuration from the bridge's own example: sets only what attaching needs;
 * everything else stays as the bridge's authors wrote it, comments included.
 *
 * Three layouts are known. Today's mautrix bridges use `bridgev2`; at start they complete a file
 * with only some keys, so without an example our keys alone suffice. Older bridges use `legacy-go`
 * and `legacy-python`, where the same facts have other names and are set if the example has them.
 */
import { createHash } from 'node:crypto'
import { Document, isMap, isScalar } from 'yaml'
import { GatewayError } from '../../domain/errors.ts'
import { refuseEncryption } from './encryption.ts'
import { parseExample, textAt } from './example.ts'
import { pathOf, refuseUnknown, yamlValue } from './further-settings.ts'
import { hasPlaceholder } from './registration.ts'

/** Source of a configuration. */
export interface Base {
  text: string
  /** True for an existing configuration instead of an example: it keeps what needn't be set. */
  isInUse: boolean
  /** The program's example beside a configuration in use, if it gives one. */
  example?: string | null
}

export interface BridgeSettings {
  serverName: string
  /** Null: keep those of the configuration in use. */
  homeserver: {
    /** How the bridge reaches the homeserver. */
    address: string
    /** URL at which the bridge reports states of logins and of messages; null: nowhere. */
    statusEndpoint: string | null
  } | null
  /** How the homeserver and the gateway reach the bridge. */
  address: string
  /** Where the bridge listens. */
  listen: { hostname: string; port: number }
  asToken: string
  hsToken: string
  /** Double puppeting: an appservice's token by which actions on the phone come from our users. */
  puppetToken: string
  /** Null: keep that of the configuration in use. */
  database: BridgeDatabase | null
  /** Secret of the provisioning API. */
  secret: string
  /** Names to use without an example; `force`: also instead of the example's. */
  names: BridgeNames & { force: boolean }
  /** Values of keys that not every version of the program has. */
  preset: Readonly<Record<string, unknown>>
  /** Such values for messages from before a link, which are also set where `preset` isn't. */
  history: Readonly<Record<string, unknown>>
  /** Further keys, such as `network.api_id`, with YAML values. They override everything else. */
  extra: Readonly<Record<string, string>>
}

/** Distinguish the bridge's users from others. */
export interface BridgeNames {
  id: string
  botLocalpart: string
  /** Localpart of ghosts, with a placeholder for the network's id. */
  usernameTemplate: string
}

export type BridgeDatabase = { kind: 'sqlite'; path: string } | { kind: 'postgres'; uri: string }

export type Layout = 'bridgev2' | 'legacy-go' | 'legacy-python'

export interface BridgeConfigFile extends BridgeNames {
  text: string
  layout: Layout
  /** Template of room aliases, in bridges that have them. */
  aliasTemplate: string | undefined
  /** True if the bridge has a provisioning API with a secret; else its bot takes commands. */
  hasProvisioning: boolean
}

type Path = readonly string[]

/** One setting of a layout. `always`: set it even where the example doesn't have it. */
interface Fact {
  path: Path
  value: unknown
  always?: boolean
}

/**
 * @param base the bridge's example, or the configuration in use; null: write only our settings
 * @throws GatewayError bad_request when the example isn't a bridge's configuration
 */
export function bridgeConfigFile(base: Base | null, settings: BridgeSettings): BridgeConfigFile {
  const doc = base ? parseExample(base.text) : new Document({})
  const layout = base ? layoutOf(doc) : 'bridgev2'
  const names = namesOf(doc, layout, settings)
  const facts = factsOf(layout, settings, names, doc)
  const taste = base?.isInUse ? [] : tasteOf(layout, doc, settings)
  for (const { path, value, always } of [...facts, ...taste, ...presetFacts(settings.history)]) {
    if (always || base === null || doc.hasIn(path)) set(doc, path, value)
  }
  const example = exampleOf(base)
  for (const [key, text] of Object.entries(settings.extra)) {
    const path = pathOf(example ?? doc, key)
    const value = yamlValue(key, text)
    if (base) refuseUnknown(doc, path, example)
    set(doc, path, value)
  }
  refuseEncryption(doc)
  return {
    ...names,
    layout,
    aliasTemplate: textAt(doc, ['bridge', 'alias_template']),
    hasProvisioning: base === null || doc.hasIn(SECRET[layout]),
    text: doc.toString({ indent: 4, lineWidth: 0, flowCollectionPadding: false }),
  }
}

/** The configuration as its authors wrote it, without our facts; null if unknown. */
function exampleOf(base: Base | null): Document | null {
  const text = base?.isInUse ? base.example : base?.text
  return text == null ? null : parseExample(text)
}

function layoutOf(doc: Document): Layout {
  if (!doc.hasIn(['appservice', 'database'])) return 'bridgev2'
  return isMap(doc.getIn(['appservice', 'database'])) ? 'legacy-go' : 'legacy-python'
}

const SECRET: Record<Layout, Path> = {
  bridgev2: ['provisioning', 'shared_secret'],
  'legacy-go': ['bridge', 'provisioning', 'shared_secret'],
  'legacy-python': ['appservice', 'provisioning', 'shared_secret'],
}

/** Place of double puppeting tokens, by server name. */
const PUPPET_SECRETS: Record<Layout, Path> = {
  bridgev2: ['double_puppet', 'secrets'],
  'legacy-go': ['bridge', 'login_shared_secret_map'],
  'legacy-python': ['bridge', 'login_shared_secret_map'],
}

const NAMES_TODAY: Record<keyof BridgeNames, Path> = {
  id: ['appservice', 'id'],
  botLocalpart: ['appservice', 'bot', 'username'],
  usernameTemplate: ['appservice', 'username_template'],
}
const NAMES_IN_GO = { ...NAMES_TODAY, usernameTemplate: ['bridge', 'username_template'] }
const NAME_PATHS: Record<Layout, Record<keyof BridgeNames, Path>> = {
  bridgev2: NAMES_TODAY,
  'legacy-go': NAMES_IN_GO,
  'legacy-python': { ...NAMES_IN_GO, botLocalpart: ['appservice', 'bot_username'] },
}

/** The example's names, unless forced. `extra` wins, as it will in the file. */
function namesOf(doc: Document, layout: Layout, { names, extra }: BridgeSettings): BridgeNames {
  const name = (which: keyof BridgeNames): string => {
    const path = NAME_PATHS[layout][which]
    const said = extra[path.join('.')]
    if (said !== undefined) return String(yamlValue(path.join('.'), said))
    return (names.force ? undefined : textAt(doc, path)) ?? names[which]
  }
  const found = {
    id: name('id'),
    botLocalpart: name('botLocalpart'),
    usernameTemplate: name('usernameTemplate'),
  }
  if (hasPlaceholder(found.usernameTemplate)) return found
  throw new GatewayError(
    'bad_request',
    `${NAME_PATHS[layout].usernameTemplate.join('.')}: "${found.usernameTemplate}" has no place for the network's id, such as {{.}}`,
  )
}

function factsOf(layout: Layout, settings: BridgeSettings, names: BridgeNames, doc: Document): Fact[] {
  const paths = NAME_PATHS[layout]
  const common: Fact[] = [
    ...homeserverFacts(settings),
    // An event must not arrive before its file.
    { path: ['homeserver', 'async_media'], value: false },
    { path: ['appservice', 'address'], value: settings.address, always: true },
    { path: ['appservice', 'hostname'], value: settings.listen.hostname, always: true },
    { path: ['appservice', 'port'], value: settings.listen.port, always: true },
    { path: ['appservice', 'as_token'], value: settings.asToken, always: true },
    { path: ['appservice', 'hs_token'], value: settings.hsToken, always: true },
    { path: ['appservice', 'ephemeral_events'], value: true },
    { path: paths.id, value: names.id, always: true },
    { path: paths.botLocalpart, value: names.botLocalpart, always: true },
    { path: paths.usernameTemplate, value: names.usernameTemplate, always: true },
    { path: SECRET[layout], value: settings.secret },
    { path: ['bridge', 'permissions'], value: permissions(doc, settings.serverName), always: true },
    // The example's entries name servers that don't exist.
    {
      path: PUPPET_SECRETS[layout],
      value: { [settings.serverName]: `as_token:${settings.puppetToken}` },
      always: layout === 'bridgev2',
    },
    // Spaces would only be more rooms to join.
    { path: ['bridge', 'personal_filtering_spaces'], value: false },
  ]
  return [...common, ...(layout === 'bridgev2' ? bridgev2Facts(settings) : legacyFacts(layout, settings))]
}

function homeserverFacts({ homeserver, serverName }: BridgeSettings): Fact[] {
  const domain: Fact = { path: ['homeserver', 'domain'], value: serverName, always: true }
  if (!homeserver) return [domain]
  return [
    domain,
    { path: ['homeserver', 'address'], value: homeserver.address, always: true },
    { path: ['homeserver', 'software'], value: 'standard' },
    { path: ['homeserver', 'status_endpoint'], value: homeserver.statusEndpoint },
    // So we hear of a message that was passed on as its room was closed.
    { path: ['homeserver', 'message_send_checkpoint_endpoint'], value: homeserver.statusEndpoint },
  ]
}

/** Settings nothing depends on, which the operator may change: only set at first. */
function tasteOf(layout: Layout, doc: Document, { asToken, preset }: BridgeSettings): Fact[] {
  // A bridge takes a message with the prefix as a command and never sends it: no text may
  // begin with it by chance or by guessing.
  const prefix = `!${createHash('sha256').update(`prefix:${asToken}`).digest('hex').slice(0, 16)}`
  const shared: Fact[] = [
    { path: ['bridge', 'command_prefix'], value: prefix },
    ...plainNames(layout, doc),
    ...presetFacts(preset),
  ]
  if (layout === 'legacy-python')
    return [...shared, ...pythonLevels(doc), { path: ['logging', 'root', 'handlers'], value: ['console'] }]
  const logging = { min_level: 'info', writers: [{ type: 'stdout', format: 'pretty' }] }
  return [...shared, { path: ['logging'], value: logging }]
}

function presetFacts(preset: Readonly<Record<string, unknown>>): Fact[] {
  return Object.entries(preset).map(([key, value]) => ({ path: key.split('.'), value }))
}

/** Clients see names without the network's mark behind them, such as `(WA)`. */
function plainNames(layout: Layout, doc: Document): Fact[] {
  const path = [layout === 'bridgev2' ? 'network' : 'bridge', 'displayname_template']
  const template = textAt(doc, path)
  return template === undefined ? [] : [{ path, value: template.replace(/ \([A-Za-z]+\)$/, '') }]
}

/** At DEBUG they log each request with its body, and so people's messages. */
function pythonLevels(doc: Document): Fact[] {
  const loggers = doc.getIn(['logging', 'loggers'])
  const names = isMap(loggers) ? loggers.items.map(({ key }) => String(key)) : []
  const paths = [['logging', 'root', 'level'], ...names.map(name => ['logging', 'loggers', name, 'level'])]
  return paths.filter(path => doc.getIn(path) === 'DEBUG').map(path => ({ path, value: 'INFO' }))
}

function bridgev2Facts({ database }: BridgeSettings): Fact[] {
  return [
    ...goDatabase(['database'], database),
    { path: ['matrix', 'message_status_events'], value: true },
    // Failures come as status events; a notice as well would look like a message of the chat.
    { path: ['matrix', 'message_error_notices'], value: false },
    // The bot's receipt adds nothing to the status event, and isn't the recipient's.
    { path: ['matrix', 'delivery_receipts'], value: false },
    // States go to the status endpoint; a notice could be mistaken for a command's answer.
    { path: ['bridge', 'bridge_status_notices'], value: 'none' },
    // Keeps one identity's messages and joins from others, even in a shared group.
    { path: ['bridge', 'split_portals'], value: true },
    // The homeserver repeats events after a restart of the bridge; each is sent once.
    { path: ['bridge', 'deduplicate_matrix_messages'], value: true },
    // Our users leave a chat only when somebody wants to leave its group: nothing else makes them.
    { path: ['bridge', 'bridge_matrix_leave'], value: true },
    // A device linked again keeps its chats.
    { path: ['bridge', 'cleanup_on_logout', 'enabled'], value: false },
    { path: ['provisioning', 'allow_matrix_auth'], value: false },
    // The number of a person whom the network knows by a hidden id is in the ghost's profile.
    { path: ['bridge', 'phone_numbers_in_profile'], value: true },
    { path: ['matrix', 'ghost_extra_profile_info'], value: true },
  ]
}

function legacyFacts(layout: 'legacy-go' | 'legacy-python', { database }: BridgeSettings): Fact[] {
  const shared: Fact[] = [
    { path: ['bridge', 'message_status_events'], value: true },
    { path: ['bridge', 'message_error_notices'], value: false },
    { path: ['bridge', 'delivery_error_reports'], value: false },
    { path: ['bridge', 'delivery_receipts'], value: false },
  ]
  if (layout === 'legacy-go') return [...shared, ...goDatabase(['appservice', 'database'], database)]
  const enabled: Fact = { path: ['appservice', 'provisioning', 'enabled'], value: true }
  if (!database) return [...shared, enabled]
  const uri = database.kind === 'sqlite' ? `sqlite:${database.path}` : database.uri
  return [...shared, enabled, { path: ['appservice', 'database'], value: uri, always: true }]
}

/** For the database layer shared by all mautrix bridges in Go. */
function goDatabase(path: Path, database: BridgeDatabase | null): Fact[] {
  if (!database) return []
  const sqlite = database.kind === 'sqlite'
  return [
    { path: [...path, 'type'], value: sqlite ? 'sqlite3-fk-wal' : 'postgres', always: true },
    {
      path: [...path, 'uri'],
      value: sqlite ? `file:${database.path}?_txlock=immediate` : database.uri,
      always: true,
    },
  ]
}

/** Lets all our users link accounts, at the level the example gives its own server. */
function permissions(doc: Document, serverName: string): Record<string, string> {
  const level =
    textAt(doc, ['bridge', 'permissions', serverName]) ??
    textAt(doc, ['bridge', 'permissions', 'example.com'])
  return { [serverName]: level ?? 'user' }
}

/** Sets a value, keeping the old one's comments and quotes. */
function set(doc: Document, path: Path, value: unknown): void {
  const node = doc.getIn(path, true)
  const isPlain = value === null || typeof value !== 'object'
  if (isScalar(node) && isPlain) node.value = value
  else doc.setIn(path, doc.createNode(value))
}
