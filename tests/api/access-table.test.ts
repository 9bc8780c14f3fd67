/**
 * Every call of the API × every caller × one's own, another tenant's and no object at all. The
 * calls come from the OpenAPI document, so a route that isn't in the table fails the test.
 * Another's object must look like one that doesn't exist, to the letter.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SCOPES, type Scope } from '../../src/domain/scopes.ts'
import type { OpenApiDocument } from '../../src/http/openapi/document.ts'
import { basic, bearer } from '../support/json-client.ts'
import { type TestGateway, testGateway } from '../support/test-gateway.ts'
import { OPERATIONS, type Operation, type Things } from './access-table/operations.ts'
import { createCaller, createTenant, type Tenant } from './access-table/tenant.ts'

const DOCUMENT: OpenApiDocument = JSON.parse(
  readFileSync(join(import.meta.dir, '..', '..', 'openapi.json'), 'utf8'),
)
const DOCUMENTED = Object.entries(DOCUMENT.paths).flatMap(([path, operations]) =>
  Object.keys(operations).map(method => `${method.toUpperCase()} ${path}`),
)

test('the table has every call there is, and no other', () => {
  expect(Object.keys(OPERATIONS).toSorted()).toEqual(DOCUMENTED.toSorted())
})

test('the document says of each how one authenticates', () => {
  for (const [name, { auth }] of Object.entries(OPERATIONS)) {
    const [method = '', path = ''] = name.split(' ')
    const security = DOCUMENT.paths[path]?.[method.toLowerCase()]?.security ?? []
    expect([name, security]).toEqual([name, auth === 'none' ? [] : [{ [`${auth}Auth`]: [] }]])
  }
})

let gateway: TestGateway
let ours: Tenant
let theirs: Tenant
/** Callers who may do nothing with Basic or with Bearer, and the status that each gets. */
let strangers: Record<'basic' | 'bearer', [string, string | undefined, number][]>

beforeAll(async () => {
  // Failing is the point here: nobody is to be slowed down.
  gateway = await testGateway({
    AUTH_FAILURES_PER_CREDENTIAL: '1000000',
    AUTH_FAILURES_PER_ADDRESS: '1000000',
  })
  // The first token of all is the host's: neither tenant is to be it.
  await gateway.client.account()
  ours = await createTenant(gateway.client, 'ours', 1)
  theirs = await createTenant(gateway.client, 'theirs', 2)
  strangers = await createStrangers()
}, 60_000)
afterAll(() => gateway[Symbol.asyncDispose]())

/** The configured super admin's Authorization. */
const admin = () => basic(gateway.client.address.clientId, gateway.client.address.clientSecret)

async function createStrangers(): Promise<typeof strangers> {
  const { client, clock } = gateway
  const inactive = await createCaller(client, 'inactive')
  const gone = await createCaller(client, 'gone')
  const expiring = await client.admin.post<{ token: string }>('/api/v1/tokens', {
    expires_at: new Date(clock.now() + 60_000).toISOString(),
  })
  const deleted = await createCaller(client, 'deleted')
  for (const token of (await deleted.admin.get<{ id: number }[]>('/api/v1/tokens')).body) {
    await deleted.admin.delete(`/api/v1/tokens/${token.id}`)
  }
  await client.admin.put('/api/v1/credentials/inactive', { active: false })
  await client.admin.delete('/api/v1/credentials/gone')
  clock.skip(60_000)
  return {
    basic: [
      ['nobody', undefined, 401],
      ['malformed authentication', 'Basic !!!', 401],
      ['a wrong secret', basic(client.address.clientId, 'wrong'), 401],
      ['an unknown client id', basic('unknown', 'secret'), 401],
      ["another's secret", basic('ours', theirs.clientSecret), 401],
      ['a deleted credential', basic('gone', gone.clientSecret), 401],
      ['an inactive credential', basic('inactive', inactive.clientSecret), 403],
      ['a token', bearer(ours.token), 401],
    ],
    bearer: [
      ['nobody', undefined, 401],
      ['malformed authentication', 'Bearer', 401],
      ['a credential', basic('ours', ours.clientSecret), 401],
      ['the super admin', admin(), 401],
      ['an unknown token', bearer(`mt_${'A'.repeat(43)}`), 403],
      ['what is no token', bearer('x'), 403],
      ['an expired token', bearer(expiring.body.token), 403],
      ['a deleted token', bearer(deleted.token), 403],
      ['a token of an inactive credential', bearer(inactive.token), 403],
      ['a token of a deleted credential', bearer(gone.token), 403],
    ],
  }
}

interface Told {
  status: number
  text: string
}

/** @param body by default what the operation takes; an unreadable one shows that nobody read it */
async function call(
  name: string,
  authorization: string | undefined,
  things: Things,
  body?: string,
): Promise<Told> {
  const [method = '', template = ''] = name.split(' ')
  const { path = {}, query = {}, json } = OPERATIONS[name]?.request?.(things) ?? {}
  const filled = template.replace(/\{(\w+)\}/g, (_all, key: string) =>
    encodeURIComponent(path[key] ?? `no-${key}`),
  )
  const content =
    method === 'GET' ? undefined : (body ?? (json === undefined ? undefined : JSON.stringify(json)))
  const response = await fetch(`${gateway.url}${filled}?${new URLSearchParams(query)}`, {
    method,
    headers: {
      ...(authorization === undefined ? {} : { authorization }),
      ...(content === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(content === undefined ? {} : { body: content }),
  })
  const text = await response.text()
  return { status: response.status, text: text.replace(/"request_id":"[^"]*"/, '') }
}

/** As if both had asked for the same. */
function unnamed({ status, text }: Told, things: Things): Told {
  // The longest first: a short id may be part of another.
  const ids = Object.values(things).toSorted((a, b) => b.length - a.length)
  return { status, text: ids.reduce((before, id) => before.replaceAll(id, '<id>'), text) }
}

const lacksScope = ({ status, text }: Told) => status === 403 && text.includes('lacks the scope')
const named = (wanted: (operation: Operation) => boolean) =>
  Object.keys(OPERATIONS).filter(name => wanted(OPERATIONS[name] as Operation))

/** Ids as they might be, of nothing. */
const ABSENT: Things = {
  device: '491519999999',
  message: `msg_${'0'.repeat(32)}`,
  chat: `chat_${'0'.repeat(32)}`,
  action: `act_${'0'.repeat(32)}`,
  webhook: '987654',
  link: `lnk_${'0'.repeat(32)}`,
  token: '987654',
  credential: 'no-such-credential',
  media: `med_${'0'.repeat(32)}`,
  delivery: `dlv_${'0'.repeat(32)}`,
}

describe('who may not call is told so, and nothing of what there is', () => {
  describe.each(named(({ auth }) => auth !== 'none'))('%s', name => {
    test('whoever it is, and whatever it is about', async () => {
      const { auth } = OPERATIONS[name] as Operation
      for (const [who, authorization, status] of strangers[auth as 'basic' | 'bearer']) {
        const answers = await Promise.all(
          [ours.things, theirs.things, ABSENT].map(things =>
            call(name, authorization, things, '{"unreadable'),
          ),
        )
        expect([who, ...new Set(answers.map(answer => answer.status))]).toEqual([who, status])
        expect([who, new Set(answers.map(answer => answer.text)).size]).toEqual([who, 1])
      }
    })
  })
})

describe('scopes', () => {
  const GRANTS: [string, string[], readonly string[]][] = [
    ['none', [], ['tokens:read:*', 'tokens:write:create', 'tokens:write:delete']],
    ['one of something else', ['messages:read:*'], []],
    ['all', ['*'], SCOPES],
    ['all of tokens', ['tokens:*'], SCOPES.filter(scope => scope.startsWith('tokens:'))],
    ['to write credentials', ['credentials:write:*'], ['credentials:write:*']],
    ...SCOPES.map((scope): [string, string[], readonly string[]] => [scope, [scope], [scope]]),
  ]

  test.each(GRANTS)('a user with %s', async (_name, scopes, expected) => {
    const clientId = `scoped-${Bun.randomUUIDv7()}`
    const made = await gateway.client.admin.post<{ client_secret: string }>('/api/v1/credentials', {
      client_id: clientId,
      scopes,
    })
    const authorization = basic(clientId, made.body.client_secret)
    for (const name of named(({ auth }) => auth === 'basic')) {
      const answer = await call(name, authorization, ABSENT, '{}')
      const { scope } = OPERATIONS[name] as { scope: Scope }
      expect([name, !lacksScope(answer) && answer.status !== 401]).toEqual([name, expected.includes(scope)])
    }
  })

  test('a super admin has them all', async () => {
    for (const name of named(({ auth }) => auth === 'basic')) {
      const { status } = await call(name, admin(), ABSENT, '{}')
      expect([name, [401, 403].includes(status)]).toEqual([name, false])
    }
  })
})

describe('objects', () => {
  const authorizationOf = (tenant: Tenant, { auth }: Operation) =>
    auth === 'basic' ? basic(tenant.clientId, tenant.clientSecret) : bearer(tenant.token)

  /** All that the other tenant can see of itself. */
  async function theirView(): Promise<string> {
    const views: Told[] = []
    for (const name of named(({ lists }) => lists === true)) {
      const operation = OPERATIONS[name] as Operation
      views.push(await call(name, authorizationOf(theirs, operation), theirs.things))
    }
    // When a credential's tokens were used isn't theirs alone to change: asking is using.
    // Signed addresses of files tell the time, and the network renews a QR code every 20 s.
    return JSON.stringify(views)
      .replace(/\\"last_used_at\\":[^,]*/g, '')
      .replace(/expires=\d+&signature=\w+/g, '')
      .replace(/(\\"payload\\":)\\"http.*?(\\"created_at.*?\\"expires_at\\":)[^,}]*/g, '$1$2')
  }

  test("another tenant's is as if it were not there, and stays as it is", async () => {
    const before = await theirView()
    for (const name of named(({ about, reach }) => about !== undefined && reach === undefined)) {
      const operation = OPERATIONS[name] as Operation
      const about = operation.about as keyof Things
      const authorization = authorizationOf(ours, operation)
      const foreign = await call(name, authorization, { ...ours.things, [about]: theirs.things[about] })
      const absent = await call(name, authorization, { ...ours.things, [about]: ABSENT[about] })
      expect([name, unnamed(foreign, theirs.things)]).toEqual([name, unnamed(absent, ABSENT)])
      expect([name, foreign.status]).toEqual([name, operation.absent ?? 404])
    }
    expect(await theirView()).toBe(before)
  })

  test('lists have one’s own alone', async () => {
    for (const name of named(({ lists }) => lists === true)) {
      const answer = await call(name, authorizationOf(ours, OPERATIONS[name] as Operation), ours.things)
      expect([name, answer.status]).toEqual([name, 200])
      const seen = theirs.markers.filter(marker => answer.text.includes(marker))
      expect([name, seen]).toEqual([name, []])
    }
  })

  test('the same Idempotency-Key of two tenants is two keys', async () => {
    const send = async (tenant: Tenant, text: string) => {
      const response = await fetch(`${gateway.url}/api/v1/devices/${tenant.things.device}/message`, {
        method: 'POST',
        headers: {
          authorization: bearer(tenant.token),
          'content-type': 'application/json',
          'idempotency-key': 'the-same-key',
        },
        body: JSON.stringify({ platform: 'wa', contact: tenant.things.device, text }),
      })
      return { status: response.status, body: (await response.json()) as { messages: { id: string }[] } }
    }
    const first = await send(ours, 'ours')
    const second = await send(theirs, 'theirs')
    expect([first.status, second.status]).toEqual([200, 200])
    expect(first.body.messages[0]?.id).not.toBe(second.body.messages[0]?.id)
  })

  // Last, as it uses the objects up.
  test("one's own is reached, and each call does what it says", async () => {
    for (const name of named(({ ok }) => ok !== undefined)) {
      const operation = OPERATIONS[name] as Operation
      const isAdmins = operation.reach === 'admin' || operation.scope?.startsWith('credentials:')
      const authorization =
        operation.auth === 'none' ? undefined : isAdmins ? admin() : authorizationOf(ours, operation)
      const { status, text } = await call(name, authorization, ours.things)
      expect([name, status, text]).toEqual([name, operation.ok ?? 0, text])
    }
  }, 60_000)
})
