/** Synapse on a port of its own: `await using synapse = await startSynapse()`. */
import { Database } from 'bun:sqlite'
import { createHmac, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bearer, type JsonClient, jsonClient } from './json-client.ts'
import { type Postgres, startPostgres } from './postgres.ts'
import { answers, freePort, type Program, startProgram } from './program.ts'
import { tempDir } from './temp-dir.ts'

const PYTHON = join(import.meta.dir, '..', '..', '.tools', 'synapse', 'bin', 'python')

/** True when `make e2e-tools` has installed Synapse. */
export const hasSynapse = existsSync(PYTHON)

const REGISTRATION_SHARED_SECRET = 'the registration secret of the tests'
const START_DEADLINE_MS = 90_000
/** High enough to be no limit. */
const UNLIMITED = { per_second: 100_000, burst_count: 100_000 }

export interface RateLimit {
  per_second: number
  burst_count: number
}

export interface Synapse extends AsyncDisposable {
  url: string
  serverName: string
  registrationSharedSecret: string
  /** A client of the admin API, with a new admin's token. */
  admin(): Promise<JsonClient>
  /** Adds a registration (YAML) to the configuration; it applies after the next restart. */
  addRegistration(name: string, yaml: string): void
  /** SIGTERM, then a new process on the same data and port. */
  restart(): Promise<void>
  stop(): Promise<void>
  kill(): Promise<void>
  start(): Promise<void>
  output(): string
  /** SQLite only. */
  databaseFile: string
  /** Stored events with this text in their JSON. */
  eventsWith(text: string): Promise<SynapseEvent[]>
  /** How far an event got on its way to an application service. PostgreSQL only. */
  pushStateOf(eventId: string, appserviceId: string): Promise<PushState>
  /** True when a later event of its room was taken before this one. PostgreSQL only. */
  wasOvertaken(eventId: string, appserviceId: string): Promise<boolean>
  /** How often since its start Synapse has caught up with the service after an outage. */
  recoveriesOf(appserviceId: string): number
  /** How often since its start Synapse has found the application service unreachable. */
  outagesOf(appserviceId: string): number
}

/**
 * - `taken`: pushed, and the application service acknowledged it.
 * - `kept`: in Synapse's queue for the service.
 * - `forgotten`: neither: stored, but not (yet, or before Synapse ended) put into that queue.
 */
export type PushState = 'taken' | 'kept' | 'forgotten'

export interface SynapseEvent {
  id: string
  roomId: string
  /** Milliseconds since the Unix epoch. */
  receivedAt: number
}

export interface SynapseOptions {
  /** Registrations of application services, as YAML by name. */
  registrations?: Record<string, string>
  /** Limits to keep, such as `{ rc_message: { per_second: 1, burst_count: 1 } }`. */
  rateLimits?: Record<string, RateLimit>
  serverName?: string
  /**
   * On SQLite, the default, Synapse numbers its transactions from 1 again after a restart; real
   * bridges drop those as repeats, so they need PostgreSQL, as in every real deployment.
   */
  database?: 'sqlite' | 'postgres'
}

/** Resolves when Synapse answers. */
export async function startSynapse(options: SynapseOptions = {}): Promise<Synapse> {
  const { registrations = {}, rateLimits = {}, serverName = 'synapse.test', database = 'sqlite' } = options
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(tempDir())
  const postgres = database === 'postgres' ? stack.use(await startPostgres()) : undefined
  const port = freePort()
  const url = `http://127.0.0.1:${port}`
  const files: string[] = []
  let program: Program | undefined

  const addRegistration = (name: string, yaml: string) => {
    const file = folder.file(`${name}-registration.yaml`)
    writeFileSync(file, yaml)
    if (!files.includes(file)) files.push(file)
  }
  const start = async () => {
    writeFileSync(
      folder.file('homeserver.yaml'),
      // JSON is YAML too.
      JSON.stringify(
        configOf({ folder: folder.path, serverName, port, postgres, registrations: files, rateLimits }),
      ),
    )
    program = await startProgram({
      name: 'Synapse',
      command: [PYTHON, '-m', 'synapse.app.homeserver', '--config-path', folder.file('homeserver.yaml')],
      cwd: folder.path,
      isReady: () => answers(`${url}/health`),
      deadlineMs: START_DEADLINE_MS,
    })
  }
  const stop = async (signal: NodeJS.Signals) => {
    await program?.end(signal)
  }

  const ofPostgres = () => {
    if (!postgres) throw new Error('what was pushed is kept track of in PostgreSQL alone')
    return postgres
  }
  const countOf = (line: string) => (program?.output() ?? '').split(line).length - 1

  for (const [name, yaml] of Object.entries(registrations)) addRegistration(name, yaml)
  mkdirSync(folder.file('media'))
  writeFileSync(folder.file('log.yaml'), JSON.stringify(LOGGING))
  await start()
  await postgres?.query(KEEP_TRACK_OF_TAKEN)
  const owned = stack.move()
  return {
    url,
    serverName,
    registrationSharedSecret: REGISTRATION_SHARED_SECRET,
    admin: () => adminOf(url),
    addRegistration,
    async restart() {
      await stop('SIGTERM')
      await start()
    },
    stop: () => stop('SIGTERM'),
    kill: () => stop('SIGKILL'),
    start,
    output: () => program?.output() ?? '',
    databaseFile: folder.file('homeserver.db'),
    async eventsWith(text) {
      const query = (condition: string) => `${EVENTS} WHERE ${condition} ORDER BY stream_ordering`
      const rows = postgres
        ? await postgres.query(query('strpos(json, $1) > 0'), [text])
        : rowsOf(folder.file('homeserver.db'), query('instr(json, ?) > 0'), text)
      return rows.map(({ event_id: id, room_id: roomId, received_ts: receivedAt }) => ({
        id: String(id),
        roomId: String(roomId),
        receivedAt: Number(receivedAt),
      }))
    },
    async pushStateOf(eventId, appserviceId) {
      const [row] = await ofPostgres().query(PUSH_STATE, [appserviceId, eventId])
      return row?.state as PushState
    },
    async wasOvertaken(eventId, appserviceId) {
      const [row] = await ofPostgres().query(WAS_OVERTAKEN, [appserviceId, eventId])
      return row?.overtaken === true
    },
    recoveriesOf: id => countOf(`Successfully recovered application service AS ID ${id}\n`),
    outagesOf: id => countOf(`Starting recoverer for AS ID ${id}\n`),
    async [Symbol.asyncDispose]() {
      await stop('SIGKILL')
      await owned.disposeAsync()
    },
  }
}

/** Synapse deletes acknowledged transactions and logs no event ids, so a trigger keeps them. */
const KEEP_TRACK_OF_TAKEN = `
  CREATE TABLE taken (position bigserial, as_id text, event_ids text);
  CREATE FUNCTION keep_track_of_taken() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO taken (as_id, event_ids) VALUES (OLD.as_id, OLD.event_ids); RETURN NULL; END $$;
  CREATE TRIGGER keep_track_of_taken AFTER DELETE ON application_services_txns
    FOR EACH ROW EXECUTE FUNCTION keep_track_of_taken();
`
const PUSH_STATE = `
  SELECT CASE
    WHEN EXISTS (SELECT 1 FROM taken WHERE as_id = $1 AND strpos(event_ids, $2) > 0) THEN 'taken'
    WHEN EXISTS (SELECT 1 FROM application_services_txns WHERE as_id = $1 AND strpos(event_ids, $2) > 0) THEN 'kept'
    ELSE 'forgotten' END AS state
`
const WAS_OVERTAKEN = `
  WITH pushed AS (
    SELECT position, event_id, room_id, stream_ordering
    FROM taken CROSS JOIN jsonb_array_elements_text(event_ids::jsonb) AS ids (event_id) JOIN events USING (event_id)
    WHERE as_id = $1
  )
  SELECT EXISTS (
    SELECT 1 FROM pushed AS it JOIN pushed AS other USING (room_id)
    WHERE it.event_id = $2 AND other.stream_ordering > it.stream_ordering AND other.position < it.position
  ) AS overtaken
`
const EVENTS = 'SELECT event_id, events.room_id, received_ts FROM events JOIN event_json USING (event_id)'

function rowsOf(databaseFile: string, query: string, parameter: string): Record<string, unknown>[] {
  using database = new Database(databaseFile, { readonly: true })
  return database.query<Record<string, unknown>, string>(query).all(parameter)
}

/** @see https://element-hq.github.io/synapse/latest/admin_api/register_api.html */
async function adminOf(url: string): Promise<JsonClient> {
  const path = '/_synapse/admin/v1/register'
  const { body: challenge } = await jsonClient(url).get<{ nonce: string }>(path)
  const user = { nonce: challenge.nonce, username: `admin${randomUUID()}`, password: randomUUID() }
  const mac = createHmac('sha1', REGISTRATION_SHARED_SECRET)
    .update([user.nonce, user.username, user.password, 'admin'].join('\0'))
    .digest('hex')
  const { body } = await jsonClient(url).post<{ access_token?: string }>(path, { ...user, admin: true, mac })
  if (body.access_token === undefined) throw new Error(`Synapse made no admin: ${JSON.stringify(body)}`)
  return jsonClient(url, bearer(body.access_token))
}

/** Logs warnings to standard error, and the state of application services. */
const LOGGING = {
  version: 1,
  formatters: { plain: { format: '%(asctime)s %(levelname)s %(name)s %(message)s' } },
  handlers: { console: { class: 'logging.StreamHandler', formatter: 'plain' } },
  root: { level: 'WARNING', handlers: ['console'] },
  loggers: {
    'synapse.appservice.scheduler': { level: 'INFO' },
  },
}

interface ConfigParts {
  folder: string
  serverName: string
  port: number
  /** Undefined for SQLite. */
  postgres: Postgres | undefined
  registrations: string[]
  rateLimits: Record<string, RateLimit>
}

/** homeserver.yaml: no federation, quick passwords, and limits that no test reaches by itself. */
function configOf({ folder, serverName, port, postgres, registrations, rateLimits }: ConfigParts) {
  return {
    server_name: serverName,
    public_baseurl: `http://127.0.0.1:${port}/`,
    listeners: [{ port, bind_addresses: ['127.0.0.1'], type: 'http', resources: [{ names: ['client'] }] }],
    database: databaseSettings(folder, postgres),
    media_store_path: join(folder, 'media'),
    log_config: join(folder, 'log.yaml'),
    pid_file: join(folder, 'homeserver.pid'),
    // Any 32 bytes are a key; nobody checks a signature.
    signing_key: `ed25519 a_test ${Buffer.alloc(32, 7).toString('base64').replace('=', '')}`,
    macaroon_secret_key: 'the macaroon secret of the tests',
    form_secret: 'the form secret of the tests',
    registration_shared_secret: REGISTRATION_SHARED_SECRET,
    bcrypt_rounds: 4,
    report_stats: false,
    trusted_key_servers: [],
    federation_domain_whitelist: [],
    presence: { enabled: false },
    url_preview_enabled: false,
    app_service_config_files: registrations,
    ...UNLIMITED_RATES,
    ...rateLimits,
  }
}

function databaseSettings(folder: string, postgres: Postgres | undefined) {
  if (!postgres) return { name: 'sqlite3', args: { database: join(folder, 'homeserver.db') } }
  const { port, user, database } = postgres
  return { name: 'psycopg2', args: { host: '127.0.0.1', port, user, dbname: database, cp_min: 1, cp_max: 5 } }
}

const UNLIMITED_RATES = {
  rc_message: UNLIMITED,
  rc_registration: UNLIMITED,
  rc_login: { address: UNLIMITED, account: UNLIMITED, failed_attempts: UNLIMITED },
  rc_joins: { local: UNLIMITED, remote: UNLIMITED },
  rc_joins_per_room: UNLIMITED,
  rc_invites: { per_room: UNLIMITED, per_user: UNLIMITED, per_issuer: UNLIMITED },
  rc_room_creation: UNLIMITED,
  rc_admin_redaction: UNLIMITED,
  rc_media_create: UNLIMITED,
  rc_presence: { per_user: UNLIMITED },
}
