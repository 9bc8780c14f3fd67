/**
 * The Matrix Authentication Service's admin API over HTTP, as far as accounts need it. As strict as
 * the service (docs/topics/admin-api.md, OpenAPI), and as late to tell the homeserver of new users.
 */
import { randomToken } from '../../src/lib/tokens.ts'

const SCOPE = 'urn:mas:admin'
const DEVICE_SCOPE = /^urn:matrix:client:device:([A-Za-z0-9-]{10,})$/

interface User {
  id: string
  username: string
  lockedAt: string | null
  deactivatedAt: string | null
  /** Sessions left to refuse before the homeserver knows the user. */
  unknownFor: number
}

interface Session {
  username: string
  deviceId: string
  accessToken: string
}

export class MasStub implements AsyncDisposable {
  readonly clientId = '01J44RKQYM4G3TNVANTMTDYTX6'
  readonly clientSecret = 'a secret: with a colon'
  readonly users = new Map<string, User>()
  readonly sessions: Session[] = []
  /** Calls so far, such as `POST /users`; grants as `grant`. */
  readonly calls: string[] = []
  /** Lifetime the service states for its own tokens. */
  expiresInS = 300
  /** For this many tries the homeserver doesn't know a new user. */
  provisioningTries = 0
  /** Carries out the next call, then answers 500. */
  loseNextAnswer = false
  /** Names taken at the homeserver. */
  readonly reserved = new Set<string>()
  /** Makes a session's access token; tests with a real homeserver have the homeserver make it. */
  issueToken = async (_username: string, _deviceId: string): Promise<string> => randomToken('mpt_')
  private readonly grants = new Set<string>()
  private readonly server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: request => this.answer(request),
  })

  get url(): string {
    return `http://127.0.0.1:${this.server.port}`
  }

  /** Revokes every token granted so far. */
  revokeGrants(): void {
    this.grants.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop(true)
  }

  private async answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url)
    if (pathname === '/oauth2/token') return this.grant(request)
    const path = pathname.replace('/api/admin/v1', '')
    this.calls.push(`${request.method} ${path}`)
    const token = request.headers.get('authorization')?.replace('Bearer ', '') ?? ''
    if (!this.grants.has(token)) return failure(401, 'Unknown access token')
    const answer = await this.route(request, path)
    if (!this.loseNextAnswer) return answer
    this.loseNextAnswer = false
    return failure(500, 'lost')
  }

  private async grant(request: Request): Promise<Response> {
    this.calls.push('grant')
    const expected = `Basic ${btoa(`${this.clientId}:${this.clientSecret}`)}`
    if (request.method !== 'POST') return oauthFailure(405, 'invalid_request')
    if (request.headers.get('content-type') !== 'application/x-www-form-urlencoded')
      return oauthFailure(400, 'invalid_request')
    if (request.headers.get('authorization') !== expected) return oauthFailure(401, 'invalid_client')
    const form = new URLSearchParams(await request.text())
    if (form.get('grant_type') !== 'client_credentials') return oauthFailure(400, 'unsupported_grant_type')
    if (form.get('scope') !== SCOPE) return oauthFailure(403, 'invalid_scope')
    const accessToken = randomToken('mat_')
    this.grants.add(accessToken)
    const body = {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: this.expiresInS,
      scope: SCOPE,
    }
    return Response.json(body, { headers: { 'Cache-Control': 'no-store' } })
  }

  private async route(request: Request, path: string): Promise<Response> {
    if (request.method === 'GET') {
      const name = /^\/users\/by-username\/([^/]+)$/.exec(path)?.[1]
      const user = name && this.users.get(decodeURIComponent(name))
      return user ? userAnswer(user) : failure(404, `User with username "${name}" not found`)
    }
    if (request.method !== 'POST') return failure(405, 'Method not allowed')
    if (request.headers.get('content-type') !== 'application/json') return failure(415, 'Expected JSON')
    const body = (await request.json()) as Record<string, unknown>
    if (path === '/users') return this.addUser(body)
    if (path === '/personal-sessions') return this.addSession(body)
    return failure(404, 'Not found')
  }

  private addUser({ username, ...rest }: Record<string, unknown>): Response {
    if (typeof username !== 'string' || Object.keys(rest).length > 0)
      return failure(422, 'Failed to deserialize')
    if (!/^[a-z0-9=._/+-]{1,255}$/.test(username)) return failure(400, 'Username is not valid')
    if (this.users.has(username)) return failure(409, 'User already exists')
    if (this.reserved.has(username)) return failure(409, 'Username is reserved by the homeserver')
    const id = `01${randomToken('', 18).replaceAll(/[-_]/g, 'X').toUpperCase()}`
    const user = { id, username, lockedAt: null, deactivatedAt: null, unknownFor: this.provisioningTries }
    this.users.set(username, user)
    return userAnswer(user)
  }

  private async addSession(body: Record<string, unknown>): Promise<Response> {
    const { actor_user_id: actor, human_name: name, scope, ...rest } = body
    if (typeof actor !== 'string' || typeof name !== 'string' || typeof scope !== 'string')
      return failure(422, 'Failed to deserialize')
    if (Object.keys(rest).length > 0) return failure(422, 'An expiry or something unknown')
    const user = [...this.users.values()].find(({ id }) => id === actor)
    if (!user) return failure(404, 'User not found')
    if (user.deactivatedAt || user.lockedAt) return failure(410, 'User is not active')
    const scopes = scope.split(' ')
    const devices = scopes.flatMap(each => DEVICE_SCOPE.exec(each)?.[1] ?? [])
    const [deviceId] = devices
    if (scopes.length !== 2 || !scopes.includes('urn:matrix:client:api:*') || deviceId === undefined)
      return failure(400, 'Invalid scope')
    if (user.unknownFor > 0) {
      user.unknownFor -= 1
      return failure(500, 'Failed to provision device')
    }
    const accessToken = await this.issueToken(user.username, deviceId)
    this.sessions.push({ username: user.username, deviceId, accessToken })
    const attributes = {
      actor_user_id: actor,
      human_name: name,
      scope,
      expires_at: null,
      access_token: accessToken,
    }
    return Response.json(
      { data: { type: 'personal-session', id: '01FSHN9AG07HNEZXNQM2KNBNF6', attributes } },
      { status: 201 },
    )
  }
}

function userAnswer({ id, username, lockedAt, deactivatedAt }: User): Response {
  const attributes = {
    username,
    created_at: '2026-01-16T14:40:00Z',
    locked_at: lockedAt,
    deactivated_at: deactivatedAt,
    admin: false,
  }
  return Response.json({
    data: { type: 'user', id, attributes, links: { self: `/api/admin/v1/users/${id}` } },
  })
}

function failure(status: number, title: string): Response {
  return Response.json({ errors: [{ title }] }, { status })
}

function oauthFailure(status: number, error: string): Response {
  return Response.json({ error, error_description: `the description of ${error}` }, { status })
}
