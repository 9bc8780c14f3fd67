/** A sandbox on a real homeserver and real files, and a user who links, writes and reads. */
import { Database } from 'bun:sqlite'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import homeserverTables from '../../../migrations/0002_homeserver.up.sql' with { type: 'text' }
import sandboxTables from '../../../migrations/0003_sandbox.up.sql' with { type: 'text' }
import eventIdIndex from '../../../migrations/0010_event_ids.up.sql' with { type: 'text' }
import refusalTable from '../../../migrations/0011_sandbox_refusal.up.sql' with { type: 'text' }
import homeserverHistory from '../../../migrations/0020_homeserver_history.up.sql' with { type: 'text' }
import mediaUse from '../../../migrations/0025_sandbox_media_use.up.sql' with { type: 'text' }
import profileFields from '../../../migrations/0035_profile_fields.up.sql' with { type: 'text' }
import historyBatches from '../../../migrations/0038_history_batches.up.sql' with { type: 'text' }
import sandboxPosts from '../../../migrations/0040_sandbox_posts.up.sql' with { type: 'text' }
import sandboxMoves from '../../../migrations/0042_sandbox_moves.up.sql' with { type: 'text' }
import forgottenMessages from '../../../migrations/0045_forgotten_messages.up.sql' with { type: 'text' }
import sandboxChats from '../../../migrations/0051_sandbox_chats.up.sql' with { type: 'text' }
import sandboxAvatars from '../../../migrations/0055_sandbox_avatars.up.sql' with { type: 'text' }
import { createHomeserver } from '../../../src/homeserver/index.ts'
import { type Clock, systemClock } from '../../../src/lib/clock.ts'
import { GroupCommit } from '../../../src/lib/group-commit.ts'
import { createLogger } from '../../../src/lib/logger.ts'
import { createSandbox, type SandboxPlatform } from '../../../src/sandbox/index.ts'
import { waitFor } from '../../support/wait-for.ts'

const SERVER = 'test.example'
export const USER = `@mg_alice:${SERVER}`
const USER_TOKEN = 'user-side-as-token'

export type Json = Record<string, unknown>

export interface SeenEvent {
  event_id: string
  room_id: string
  sender: string
  type: string
  state_key?: string
  redacts?: string
  origin_server_ts: number
  content: Json
  unsigned?: Json
}

export interface HarnessOptions {
  clock?: Clock
  platforms?: readonly SandboxPlatform[]
  maxUploadBytes?: number
  /** An earlier run's files. */
  folder?: string
}

export type Harness = Awaited<ReturnType<typeof createHarness>>

export async function createHarness(options: HarnessOptions = {}) {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'sandbox-'))
  const database = new Database(join(folder, 'test.db'), { create: true, strict: true })
  database.run('PRAGMA busy_timeout = 5000')
  database.run('PRAGMA journal_mode = WAL')
  database.run('PRAGMA synchronous = FULL')
  if (!options.folder)
    for (const sql of [
      homeserverTables,
      eventIdIndex,
      homeserverHistory,
      profileFields,
      historyBatches,
      forgottenMessages,
      sandboxTables,
      refusalTable,
      mediaUse,
      sandboxPosts,
      sandboxMoves,
      sandboxChats,
      sandboxAvatars,
    ])
      database.run(sql)
  const committer = new GroupCommit(database)
  const clock = options.clock ?? systemClock
  const logger = createLogger(process.env.TEST_LOG === 'on' ? 'debug' : 'silent', { format: 'json' })
  const maxUploadBytes = options.maxUploadBytes ?? 8 * 1024 * 1024
  const homeserver = createHomeserver({
    serverName: SERVER,
    database,
    committer,
    mediaDir: join(folder, 'homeserver-media'),
    maxUploadBytes,
    clock: systemClock,
    logger,
  })
  const seen: SeenEvent[] = []
  const ephemeral: Json[] = []
  /** Every request to the homeserver passes here, for tests to inspect or break. */
  const hooks: { intercept: ((request: Request) => Promise<Response> | null) | null } = { intercept: null }
  /** The bridges' reports of logins. */
  const reported: Json[] = []
  const sandbox = createSandbox({
    database,
    committer,
    mediaDir: join(folder, 'sandbox-media'),
    baseUrl: () => 'http://localhost:8080',
    homeserver: {
      serverName: SERVER,
      fetch: request => hooks.intercept?.(request) ?? homeserver.fetch(request),
      pathOfMedia: mxcUri => homeserver.pathOfMedia(mxcUri),
    },
    reportState: (platform, login, state) => reported.push({ platform, ...login, state }),
    platforms: options.platforms ?? ['wa', 'signal', 'telegram'],
    maxUploadBytes,
    clock,
    logger,
  })
  await homeserver.registerAppservice({
    id: 'gateway',
    url: null,
    asToken: USER_TOKEN,
    hsToken: 'user-side-hs-token',
    senderLocalpart: 'mg_bot',
    namespaces: { users: [{ regex: `@mg_.*:${SERVER}`, exclusive: true }] },
    receiveEphemeral: true,
    async deliver(request: Request) {
      if (request.method !== 'PUT') return Response.json({})
      const body = (await request.json()) as {
        events?: SeenEvent[]
        ephemeral?: Json[]
        [key: string]: unknown
      }
      for (const event of body.events ?? []) {
        seen.push(event)
        if (event.type === 'm.room.member' && event.content.membership === 'invite' && event.state_key) {
          if (event.state_key.startsWith('@mg_'))
            void matrix('POST', `rooms/${event.room_id}/join`, {}, event.state_key)
        }
      }
      ephemeral.push(
        ...(body.ephemeral ?? (body['de.sorunome.msc2409.ephemeral'] as Json[] | undefined) ?? []),
      )
      return Response.json({})
    },
  })
  for (const bridge of sandbox.bridges) await homeserver.registerAppservice(bridge.registration)
  homeserver.start()
  sandbox.start()
  if (!options.folder) await registerUser(USER)

  async function registerUser(userId: string): Promise<void> {
    const username = userId.slice(1, userId.indexOf(':'))
    await matrix('POST', 'register', { type: 'm.login.application_service', username, inhibit_login: true })
  }

  async function matrix(method: string, path: string, body?: unknown, as = ''): Promise<Json> {
    const url = new URL(`http://homeserver/_matrix/client/v3/${path}`)
    if (as) url.searchParams.set('user_id', as)
    const response = await homeserver.fetch(
      new Request(url.href, {
        method,
        headers: { authorization: `Bearer ${USER_TOKEN}`, 'content-type': 'application/json' },
        body: body === undefined ? null : JSON.stringify(body),
      }),
    )
    const answer = (await response.json()) as Json
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`)
    return answer
  }

  function bridge(platform: SandboxPlatform) {
    const found = sandbox.bridges.find(candidate => candidate.platform === platform)
    if (!found) throw new Error(`no bridge for ${platform}`)
    return found
  }

  async function provision(
    method: string,
    path: string,
    { body, user = USER, platform = 'wa', secret, signal }: ProvisionOptions = {},
  ): Promise<{ status: number; body: Json }> {
    const { fetch, sharedSecret } = bridge(platform)
    const url = new URL(`http://bridge/_matrix/provision/v3/${path}`)
    if (user) url.searchParams.set('user_id', user)
    const response = await fetch(
      new Request(url.href, {
        method,
        headers: { authorization: `Bearer ${secret ?? sharedSecret}` },
        body: body === undefined ? null : JSON.stringify(body),
        ...(signal ? { signal } : {}),
      }),
    )
    const text = await response.text()
    return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Json) }
  }

  async function api(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const isForm = body instanceof FormData || body instanceof Uint8Array
    const response = await sandbox.fetch(
      new Request(`http://localhost:8080/sandbox/${path}`, {
        method,
        headers: {
          ...(body === undefined || isForm ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : isForm ? body : JSON.stringify(body),
      }),
    )
    const text = await response.text()
    const json = response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : null
    return { status: response.status, json, text, headers: response.headers }
  }

  async function messages(phone: string, query = ''): Promise<ApiMessage[]> {
    return (await api('GET', `api/phones/${phone}/messages${query}`)).json as ApiMessage[]
  }

  /** Links a phone by its QR code. @returns the login's id */
  async function link(phone?: string, platform: SandboxPlatform = 'wa', user = USER): Promise<string> {
    const start = await provision('POST', 'login/start/qr', { platform, user })
    const step = start.body as unknown as Step
    const code = step.display_and_wait?.data?.split('/').at(-1)
    const path = `login/step/${step.login_id}/${step.step_id}/display_and_wait`
    const waiting = provision('POST', path, { platform, user })
    await api('POST', `link/${code}`, phone === undefined ? undefined : { phone })
    const done = (await waiting).body as unknown as Step
    if (done.type !== 'complete') throw new Error(`not linked: ${JSON.stringify(done)}`)
    return done.complete?.user_login_id ?? ''
  }

  /** @returns the chat's room, created if need be, once the user has joined */
  async function room(identifier: string, platform: SandboxPlatform = 'wa', user = USER): Promise<string> {
    const { body } = await provision('POST', `create_dm/${encodeURIComponent(identifier)}`, {
      platform,
      user,
    })
    const roomId = String(body.dm_room_mxid)
    await joined(roomId, user)
    return roomId
  }

  async function joined(roomId: string, user = USER): Promise<void> {
    await waitFor(() =>
      seen.some(
        event => event.room_id === roomId && event.state_key === user && event.content.membership === 'join',
      ),
    )
  }

  let txn = 0
  async function send(roomId: string, content: Json, type = 'm.room.message', user = USER): Promise<string> {
    const txnId = `t${Date.now()}-${txn++}`
    const { event_id } = await matrix('PUT', `rooms/${roomId}/send/${type}/${txnId}`, content, user)
    return String(event_id)
  }

  /** @returns the bridge's status of an event */
  async function status(eventId: string): Promise<Json> {
    const event = await waitFor(() =>
      seen.find(
        candidate =>
          candidate.type === 'com.beeper.message_send_status' &&
          (candidate.content['m.relates_to'] as Json).event_id === eventId,
      ),
    )
    return event.content
  }

  /** @returns the first matching event, once received */
  function event(matches: (event: SeenEvent) => boolean): Promise<SeenEvent> {
    return waitFor(() => seen.find(matches))
  }

  async function upload(bytes: Uint8Array<ArrayBuffer>, type: string, name: string): Promise<string> {
    const response = await homeserver.fetch(
      new Request(
        `http://homeserver/_matrix/media/v3/upload?filename=${name}&user_id=${encodeURIComponent(USER)}`,
        {
          method: 'POST',
          headers: { authorization: `Bearer ${USER_TOKEN}`, 'content-type': type },
          body: bytes,
        },
      ),
    )
    return ((await response.json()) as { content_uri: string }).content_uri
  }

  async function download(mxc: string): Promise<Uint8Array> {
    const path = mxc.replace('mxc://', '')
    const response = await homeserver.fetch(
      new Request(
        `http://homeserver/_matrix/client/v1/media/download/${path}?user_id=${encodeURIComponent(USER)}`,
        {
          headers: { authorization: `Bearer ${USER_TOKEN}` },
        },
      ),
    )
    return response.bytes()
  }

  async function close({ keepFiles = false } = {}): Promise<void> {
    await sandbox.stop()
    await homeserver.stop()
    await committer.close()
    database.close()
    if (!keepFiles) rmSync(folder, { recursive: true, force: true })
  }

  return {
    folder,
    database,
    sandbox,
    homeserver,
    hooks,
    seen,
    ephemeral,
    reported,
    bridge,
    registerUser,
    matrix,
    provision,
    api,
    messages,
    link,
    room,
    joined,
    send,
    status,
    event,
    upload,
    download,
    close,
  }
}

interface ProvisionOptions {
  body?: unknown
  user?: string
  platform?: SandboxPlatform
  secret?: string
  signal?: AbortSignal
}

export interface Step {
  login_id: string
  type: string
  step_id: string
  instructions: string
  display_and_wait?: { type: string; data?: string }
  user_input?: { fields: { type: string; id: string }[] }
  complete?: { user_login_id: string }
}

export interface ApiMessage {
  id: string
  from: string
  from_name: string
  to: string
  chat: string
  group: { id: string; name: string } | null
  platform: string
  type: string
  text: string
  file: {
    name: string
    mime_type: string
    size: number
    url: string
    width: number | null
    height: number | null
  } | null
  reply_to: string | null
  location: { latitude: number; longitude: number } | null
  reaction: { message: string; emoji: string } | null
  reactions: { from: string; emoji: string }[]
  edits: string | null
  deletes: string | null
  edited: boolean
  deleted: boolean
  status: string
  timestamp: string
}

/** A clock that a test moves. */
export function manualClock(start = Date.UTC(2026, 0, 1)) {
  let now = start
  const sleepers = new Set<{ at: number; wake: () => void }>()
  const clock: Clock = {
    now: () => now,
    steady: () => now,
    sleep: (ms, signal) =>
      new Promise(resolve => {
        if (signal?.aborted) return resolve()
        const sleeper = {
          at: now + ms,
          wake: () => {
            sleepers.delete(sleeper)
            signal?.removeEventListener('abort', sleeper.wake)
            resolve()
          },
        }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', sleeper.wake, { once: true })
      }),
  }
  return {
    ...clock,
    async advance(ms: number) {
      now += ms
      for (const sleeper of [...sleepers]) if (sleeper.at <= now) sleeper.wake()
      await new Promise(resolve => setImmediate(resolve))
    },
  }
}
