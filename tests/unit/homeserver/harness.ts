/** A homeserver on a real SQLite file in its own folder, and short ways to call it. */
import { Database } from 'bun:sqlite'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type AppserviceRegistration,
  createHomeserver,
  type Homeserver,
} from '../../../src/homeserver/index.ts'
import { GroupCommit } from '../../../src/lib/group-commit.ts'
import { waitFor } from '../../support/wait-for.ts'

const MIGRATIONS = [
  '0002_homeserver',
  '0010_event_ids',
  '0020_homeserver_history',
  '0035_profile_fields',
  '0038_history_batches',
  '0045_forgotten_messages',
].map(name => readFileSync(join(import.meta.dir, `../../../migrations/${name}.up.sql`), 'utf8'))
export const SERVER = 'hs.test'

export type Loose = Record<string, unknown>

/** A response with parsed JSON, and ways to reach into it. */
export class Answer {
  constructor(
    readonly status: number,
    readonly body: unknown,
  ) {}

  get(...path: (string | number)[]): unknown {
    return dig(this.body, ...path)
  }

  text(...path: (string | number)[]): string {
    const value = this.get(...path)
    if (typeof value !== 'string')
      throw new Error(`no text at ${path.join('.')} of ${JSON.stringify(this.body)}`)
    return value
  }

  list(...path: (string | number)[]): Loose[] {
    const value = this.get(...path)
    return Array.isArray(value) ? value : []
  }
}

export function dig(value: unknown, ...path: (string | number)[]): unknown {
  let found = value
  for (const key of path)
    found = typeof found === 'object' && found !== null ? (found as Loose)[key] : undefined
  return found
}

export interface CallOptions {
  /** Localpart of the user that the appservice acts as. */
  as?: string
  token?: string | null
  query?: Record<string, string>
  signal?: AbortSignal
}

/** Waits until `check` returns a value. */
export const until = <T>(check: () => T, what = 'condition') => waitFor(check, { what })

export interface Received {
  txnId: string
  authorization: string | null
  body: Loose
}

/** An appservice in this process that records requests, and answers as a test says. */
export class FakeAppservice {
  readonly received: Received[] = []
  readonly queries: string[] = []
  /** Status of the next answers; 200 when used up. */
  answers: number[] = []
  pingAnswers: number[] = []
  onQuery: (path: string) => Promise<number> = async () => 404

  readonly deliver = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url)
    if (request.method === 'GET') {
      this.queries.push(decodeURIComponent(pathname))
      return Response.json({}, { status: await this.onQuery(decodeURIComponent(pathname)) })
    }
    if (pathname === '/_matrix/app/v1/ping')
      return Response.json({}, { status: this.pingAnswers.shift() ?? 200 })
    this.received.push({
      txnId: pathname.split('/').at(-1) ?? '',
      authorization: request.headers.get('authorization'),
      body: (await request.json()) as Loose,
    })
    return Response.json({}, { status: this.answers.shift() ?? 200 })
  }

  get events(): Loose[] {
    return this.received.flatMap(({ body }) => body.events as Loose[])
  }

  get ephemeral(): Loose[] {
    return this.received.flatMap(({ body }) => (body.ephemeral ?? []) as Loose[])
  }
}

export class TestServer {
  readonly dir = mkdtempSync(join(tmpdir(), 'homeserver-'))
  private database: Database
  committer: GroupCommit
  hs: Homeserver

  constructor(private readonly maxUploadBytes = 10 * 1024 * 1024) {
    this.database = this.openDatabase()
    for (const migration of MIGRATIONS) this.database.run(migration)
    this.committer = new GroupCommit(this.database)
    this.hs = this.create()
  }

  private openDatabase(): Database {
    const database = new Database(join(this.dir, 'test.db'), { create: true, strict: true })
    database.run('PRAGMA journal_mode = WAL')
    database.run('PRAGMA synchronous = FULL')
    return database
  }

  /** Keeps the database from growing. */
  fillDisk(): void {
    const { page_count: pages } = this.database
      .query<{ page_count: number }, []>('PRAGMA page_count')
      .get() ?? {
      page_count: 1,
    }
    this.database.run(`PRAGMA max_page_count = ${pages}`)
  }

  private create(): Homeserver {
    return createHomeserver({
      serverName: SERVER,
      database: this.database,
      committer: this.committer,
      mediaDir: join(this.dir, 'media'),
      maxUploadBytes: this.maxUploadBytes,
    })
  }

  get db(): Database {
    return this.database
  }

  /** Opens the same files anew. Unless `graceful`, the old server stays open, as after a kill. */
  async restart({ graceful = true } = {}): Promise<void> {
    if (graceful) {
      await this.hs.stop()
      await this.committer.close()
      this.database.close()
    }
    this.database = this.openDatabase()
    this.committer = new GroupCommit(this.database)
    this.hs = this.create()
  }

  async close(): Promise<void> {
    await this.hs.stop()
    rmSync(this.dir, { recursive: true, force: true })
  }

  /** Registers an appservice for localparts that begin with `prefix`. */
  async appservice(prefix: string, extra: Partial<AppserviceRegistration> = {}): Promise<void> {
    await this.hs.registerAppservice({
      id: prefix,
      url: null,
      asToken: `as_${prefix}`,
      hsToken: `hs_${prefix}`,
      senderLocalpart: `${prefix}bot`,
      namespaces: { users: [{ regex: `@${prefix}_.*:${SERVER}`, exclusive: true }] },
      ...extra,
    })
  }

  async raw(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    return this.hs.fetch(new Request(`http://localhost${path}`, { method, ...init }))
  }

  /** Calls as the appservice `gw` by default; relative paths are below /_matrix/client/v3. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    { as, token = 'as_gw', query = {}, signal }: CallOptions = {},
  ): Promise<Answer> {
    const whole = path.startsWith('/_matrix') ? path : `/_matrix/client/v3${path}`
    const parameters = new URLSearchParams(query)
    if (as !== undefined) parameters.set('user_id', userId(as))
    const search = parameters.size > 0 ? `?${parameters}` : ''
    const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` }
    const response = await this.raw(method, whole + search, {
      headers,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    })
    const text = await response.text()
    return new Answer(response.status, text === '' ? undefined : JSON.parse(text))
  }

  /** Registers users of `gw` (or of `token`'s appservice) without logging them in. */
  async users(localparts: string[], token = 'as_gw'): Promise<void> {
    for (const username of localparts) {
      const answer = await this.call(
        'POST',
        '/register',
        { type: 'm.login.application_service', username, inhibit_login: true },
        { token },
      )
      if (answer.status !== 200) throw new Error(JSON.stringify(answer.body))
    }
  }

  /** Creates a device with a token for the user. */
  async logIn(localpart: string, asToken = 'as_gw'): Promise<{ token: string; deviceId: string }> {
    const answer = await this.call(
      'POST',
      '/login',
      { type: 'm.login.application_service', identifier: { type: 'm.id.user', user: localpart } },
      { token: asToken },
    )
    return { token: answer.text('access_token'), deviceId: answer.text('device_id') }
  }

  /** A room of `creator` that `members` have joined, all of them users of `gw`. */
  async room(creator: string, members: string[] = [], wish: Loose = {}): Promise<string> {
    const answer = await this.call(
      'POST',
      '/createRoom',
      { invite: members.map(userId), ...wish },
      { as: creator },
    )
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body))
    const roomId = answer.text('room_id')
    for (const member of members) await this.join(roomId, member)
    return roomId
  }

  async join(roomId: string, as: string, token = 'as_gw'): Promise<Answer> {
    return this.call('POST', `/rooms/${encodeURIComponent(roomId)}/join`, {}, { as, token })
  }

  private counter = 0

  async send(roomId: string, as: string, body: string, txnId = `auto${++this.counter}`): Promise<Answer> {
    return this.call(
      'PUT',
      `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${txnId}`,
      { msgtype: 'm.text', body },
      { as },
    )
  }
}

export function userId(localpart: string): string {
  return localpart.startsWith('@') ? localpart : `@${localpart}:${SERVER}`
}

/** A server with the appservice `gw` and these users. */
export async function serverWith(...localparts: string[]): Promise<TestServer> {
  const server = new TestServer()
  await server.appservice('gw')
  await server.users(localparts)
  return server
}

/** The bodies of messages. */
export function bodies(events: Loose[]): unknown[] {
  return events.filter(event => event.type === 'm.room.message').map(event => dig(event, 'content', 'body'))
}
