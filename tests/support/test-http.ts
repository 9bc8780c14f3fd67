/** The real HTTP application on a real database, with stand-ins for services behind bridges. */
import type { Config } from '../../src/config/index.ts'
import { type ErrorCode, GatewayError } from '../../src/domain/errors.ts'
import { createHttp, type HttpOptions } from '../../src/http/http.ts'
import type { MediaDownloads } from '../../src/http/services.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { createHmacHasher, createSealer, deriveKey } from '../../src/lib/sealing.ts'
import { createConversations } from '../../src/modules/conversations/conversations.ts'
import { createErasure } from '../../src/modules/conversations/erasure.ts'
import { createGroupsModule } from '../../src/modules/groups/index.ts'
import { createIdempotencyKeys } from '../../src/modules/idempotency/idempotency.ts'
import { createIdempotencyRepository } from '../../src/modules/idempotency/repository.ts'
import { createCredentials } from '../../src/modules/tenants/credentials.ts'
import { createIdentities } from '../../src/modules/tenants/identities.ts'
import { createTokens } from '../../src/modules/tenants/tokens.ts'
import { expectDocumented } from './documented.ts'
import { fakeServices } from './fake-services.ts'
import { ManualClock } from './manual-clock.ts'
import { tempDb } from './temp-db.ts'
import { testFeed } from './test-feed.ts'
import { moduleOn } from './test-module.ts'
import { testWebhooks } from './test-webhooks.ts'

export const ADMIN = { clientId: 'admin', secret: 'admin:secret:ü' }
const SECRET_KEY = 'a secret key of the tests'

export async function testHttp(
  overrides: Partial<HttpOptions> & {
    maxBytes?: number
    maxKeys?: number
    downloads?: MediaDownloads
    publicUrl?: string
    mode?: Config['mode']
    http?: Partial<Config['http']>
    authFailures?: Config['authFailures']
  } = {},
) {
  const db = tempDb()
  const clock = new ManualClock()
  const provisioning: { failure: ErrorCode | undefined } = { failure: undefined }
  const identities = createIdentities({
    db,
    provisioner: {
      createAccount: async localpart => {
        if (provisioning.failure) throw new GatewayError(provisioning.failure, 'the homeserver is down')
        return { userId: `@${localpart}:localhost`, deviceId: 'TEST', accessToken: null }
      },
    },
    sealer: createSealer(SECRET_KEY),
    clock,
  })
  const hasher = (purpose: string) => createHmacHasher(deriveKey(SECRET_KEY, purpose))
  const tokens = createTokens({ db, identities, hasher: hasher('tokens'), clock })
  const credentials = createCredentials({
    db,
    hasher: hasher('credentials'),
    clock,
  })
  await credentials.ensureSuperAdmin(ADMIN.clientId, ADMIN.secret)
  const idempotency = createIdempotencyKeys({
    repository: createIdempotencyRepository(db),
    maxPerHolder: overrides.maxKeys ?? 1_000_000,
    sealer: createSealer(SECRET_KEY),
    clock,
    logger: silentLogger,
  })
  const maxBytes = overrides.maxBytes ?? 4 * 1024 * 1024
  const fakes = fakeServices(db, maxBytes)
  const webhookSide = testWebhooks({ db, clock })
  const { webhooks, deliveries, replays } = webhookSide
  const feed = testFeed({ db, clock })
  const nobodys = {
    find: async () => null,
    get: async () => null,
    linked: async () => [],
    linkedFirst: async () => [],
  }
  const conversations = createConversations({
    db,
    ...moduleOn(db, { clock }),
    devices: nobodys,
    media: { signedPath: id => `/api/v1/media/${id}` },
    matrixUserOf: async () => '',
    publicUrl: () => 'http://localhost',
  })
  const erasure = createErasure({
    db,
    ...moduleOn(db, { clock }),
    devices: nobodys,
    media: { discardAll: async () => undefined },
    eraseRoom: undefined,
  })
  const unresolved = {
    keyOf: async () => '',
    resolve: async () => Promise.reject(new GatewayError('not_supported', 'no bridge')),
    forget: async () => undefined,
  }
  const groups = createGroupsModule({
    db,
    ...moduleOn(db, { clock }),
    devices: nobodys,
    media: { discard: async () => undefined },
    recipients: unresolved,
    waiting: { lanesOfPeople: async () => [] },
    backlog: { enter: () => undefined, leave: () => undefined },
    paceOf: () => ({ intervalMs: 0, jitter: 0, burst: 1 }),
  })
  const http = createHttp({
    config: {
      mode: overrides.mode ?? 'development',
      logLevel: 'info',
      http: {
        host: '127.0.0.1',
        port: 0,
        publicUrl: overrides.publicUrl,
        tls: undefined,
        trustedProxies: [],
        corsOrigins: [],
        linkFrameOrigins: [],
        ...overrides.http,
      },
      authFailures: overrides.authFailures ?? { perCredential: 10, perAddress: 60, windowMs: 60_000 },
      media: { quotaBytes: null, maxBytes, inlineMaxBytes: 0, urlTtlS: 60 },
    },
    services: {
      ...{
        credentials,
        tokens,
        idempotency,
        webhooks,
        deliveries,
        replays,
        feed,
        conversations,
        erasure,
        groups,
      },
      ...fakes.services,
      ...(overrides.downloads && { downloads: overrides.downloads }),
    },
    logger: silentLogger,
    version: '0.0.0-test',
    readiness: () => ({ ready: true, checks: { database: 'ok' } }),
    clock,
    ...overrides,
  })

  /** Calls the application without a socket. */
  async function call(
    method: string,
    path: string,
    {
      auth,
      json,
      headers = {},
      body,
      origin = 'http://localhost:8080',
      undocumented = false,
    }: CallOptions = {},
  ): Promise<Answer> {
    const response = await http.handle(
      new Request(`${origin}${path}`, {
        method,
        headers: {
          ...(auth === undefined ? {} : { authorization: auth }),
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(json === undefined ? (body === undefined ? {} : { body }) : { body: JSON.stringify(json) }),
      }),
    )
    const text = await response.text()
    const { status, headers: answered } = response
    if (!undocumented) expectDocumented(method, path, { status, headers: answered, text })
    return { status, headers: answered, text, body: parsed(text) }
  }

  /** Creates a token as the admin. */
  async function newToken(useHost = false): Promise<string> {
    const answer = await call('POST', '/api/v1/tokens', { auth: basic(), json: { use_host: useHost } })
    return String(answer.body.token)
  }

  return {
    db,
    clock,
    provisioning,
    tokens,
    credentials,
    http,
    call,
    newToken,
    webhookSide,
    feed,
    ...fakes,
    destroy: db.destroy,
  }
}

export interface CallOptions {
  auth?: string
  json?: unknown
  headers?: Record<string, string>
  body?: string | FormData
  origin?: string
  /** A stand-in answers, in a way that the real service never does. */
  undocumented?: boolean
}

export interface Answer {
  status: number
  headers: Headers
  text: string
  /** Parsed JSON; empty when the body isn't JSON. A list is under `list`. */
  body: Record<string, unknown>
}

export function basic(clientId = ADMIN.clientId, secret = ADMIN.secret): string {
  return `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`
}

function parsed(text: string): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(text)
    if (Array.isArray(json)) return { list: json }
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
