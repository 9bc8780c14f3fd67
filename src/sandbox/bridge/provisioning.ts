/** The bridge's provisioning API, version 3, as in mautrix bridges. */
import { z } from 'zod'
import { bearerToken } from '../../lib/bearer-token.ts'
import { readTextAtMost } from '../../lib/bounded-body.ts'
import { isOutOfSpace } from '../../lib/error-codes.ts'
import { isNestedTooDeep } from '../../lib/json-nesting.ts'
import { MatrixError } from '../../lib/matrix-error.ts'
import { PathRouter } from '../../lib/path-router.ts'
import { equalInConstantTime } from '../../lib/sealing.ts'
import type { Login } from '../network/types.ts'
import type { BridgeServices } from './commands.ts'
import type { Deliveries } from './deliveries.ts'
import { type createGroupCreation, newGroupSchema } from './group-creation.ts'
import { type LoginProcess, type LoginStep, ProvisioningError } from './logins.ts'

interface Asked {
  userId: string
  url: URL
  request: Request
  /** Variable parts of the path, decoded. */
  params: Record<string, string>
}

type Handler = (asked: Asked) => unknown

const BASE = '/_matrix/provision/v3/'
const MAX_BODY_BYTES = 64 * 1024

const inputSchema = z.record(z.string(), z.string())
const searchSchema = z.object({ query: z.string() })

interface ProvisioningParts extends BridgeServices {
  deliveries: Pick<Deliveries, 'sendOlder'>
  groups: ReturnType<typeof createGroupCreation>
}

export function createProvisioning(parts: ProvisioningParts, sharedSecret: string) {
  const { context, deliveries, desk, directory, groups, portals, rooms } = parts
  const { botUserId, facts, faults, homeserver, network } = context
  const { store } = network

  const routes: [method: string, path: string, handler: Handler][] = [
    ['GET', 'whoami', ({ userId }) => whoami(userId)],
    ['GET', 'capabilities', () => ({ ...CAPABILITIES, group_creation: groups.capabilities() })],
    ['POST', 'login/start/:flow', startLogin],
    ['POST', 'login/step/:process/:step/display_and_wait', waitForStep],
    ['POST', 'login/step/:process/:step/user_input', submitInput],
    ['POST', 'login/cancel/:process', cancelLogin],
    ['POST', 'logout/:login', logout],
    ['GET', 'contacts', async asked => ({ contacts: await directory.contacts(loginFor(asked)) })],
    ['POST', 'search_users', searchUsers],
    ['GET', 'resolve_identifier/:identifier', asked => directory.describe(...personFor(asked))],
    ['POST', 'create_dm/:identifier', createDm],
    ['POST', 'create_group/:type', createGroup],
    ['POST', 'backfill/:room', fetchOlder],
  ]
  const router = new PathRouter<Handler>()
  for (const [method, path, handler] of routes) router.add(method, BASE + path, handler)

  function whoami(userId: string) {
    const managementRoom = rooms.of(userId)
    return {
      network: {
        displayname: facts.displayName,
        network_url: facts.networkUrl,
        network_icon: '',
        network_id: facts.networkId,
        beeper_bridge_type: facts.networkId,
      },
      login_flows: facts.flows,
      homeserver: homeserver.serverName,
      bridge_bot: botUserId,
      command_prefix: facts.commandPrefix,
      ...(managementRoom === undefined ? {} : { management_room: managementRoom }),
      logins: loginsOf(userId).map(describeLogin),
    }
  }

  function describeLogin(login: Login) {
    const { offline, since, restricted_until: until } = faults.of(facts.platform)
    const { name } = store.phone(login.phone)
    const timestamp = Math.floor(Math.max(since, login.linkedAt) / 1000)
    const state_event = offline ? 'TRANSIENT_DISCONNECT' : 'CONNECTED'
    const problem = {
      error: `${facts.networkId}-disconnected`,
      reason: 'the sandbox is offline',
      message: `Disconnected from ${facts.displayName}`,
    }
    return {
      state_event,
      state_ts: timestamp,
      state: {
        state_event,
        timestamp,
        ...(offline ? problem : {}),
        ...(until === null ? {} : { info: { reachout_timelock_until: until } }),
      },
      id: login.id,
      name: facts.platform === 'telegram' ? name : `+${login.phone}`,
      profile: { phone: `+${login.phone}`, name },
    }
  }

  function loginsOf(userId: string): Login[] {
    return store.loginsOfUser(facts.platform, userId)
  }

  function explicitLogin({ userId, url }: Asked): Login | null {
    const loginId = url.searchParams.get('login_id')
    if (!loginId) return null
    const login = loginsOf(userId).find(candidate => candidate.id === loginId)
    if (!login) throw new ProvisioningError(404, 'M_NOT_FOUND', 'Login not found')
    return login
  }

  function loginFor(asked: Asked): Login {
    const login = explicitLogin(asked) ?? loginsOf(asked.userId)[0]
    if (!login) throw new ProvisioningError(400, 'FI.MAU.NOT_LOGGED_IN', 'Not logged in')
    return login
  }

  function personFor(asked: Asked): [login: Login, phone: string] {
    const login = loginFor(asked)
    if (faults.of(facts.platform).offline) {
      throw new ProvisioningError(500, 'M_UNKNOWN', 'Internal error resolving identifier')
    }
    const phone = directory.resolve(asked.params.identifier ?? '')
    if (phone === null) throw new ProvisioningError(404, 'M_NOT_FOUND', 'Identifier not found')
    return [login, phone]
  }

  function startLogin(asked: Asked) {
    const process = desk.start(asked.userId, asked.params.flow ?? '', explicitLogin(asked)?.id ?? null)
    return stepBody(process, process.nextStep())
  }

  function processFor({ userId, params }: Asked, type: LoginStep['type']): LoginProcess {
    const process = desk.find(userId, params.process ?? '')
    const { step_id, type: stepType } = process.step()
    if (process.ended()) return process
    if (params.step !== step_id) throw new ProvisioningError(400, 'M_BAD_STATE', 'Step ID does not match')
    if (type !== stepType) throw new ProvisioningError(400, 'M_BAD_STATE', 'Step type does not match')
    return process
  }

  async function waitForStep(asked: Asked) {
    const process = processFor(asked, 'display_and_wait')
    return stepBody(process, await process.wait(asked.request.signal))
  }

  async function submitInput(asked: Asked) {
    const process = processFor(asked, 'user_input')
    return stepBody(process, await process.submit(await bodyOf(asked, inputSchema)))
  }

  function cancelLogin({ userId, params }: Asked) {
    desk.cancel(desk.find(userId, params.process ?? ''))
  }

  async function logout({ userId, params }: Asked) {
    const wanted = params.login
    const logins = loginsOf(userId).filter(login => wanted === 'all' || login.id === wanted)
    if (logins.length === 0 && wanted !== 'all')
      throw new ProvisioningError(404, 'M_NOT_FOUND', 'Login not found')
    for (const login of logins) await network.unlink(facts.platform, login.id, 'user')
  }

  async function searchUsers(asked: Asked) {
    const { query } = await bodyOf(asked, searchSchema)
    return { results: await directory.search(loginFor(asked), query) }
  }

  async function createDm(asked: Asked) {
    const [login, phone] = personFor(asked)
    await portals.ensure(login, await directory.directChat(login, phone))
    return directory.describe(login, phone)
  }

  async function createGroup(asked: Asked) {
    const given = await bodyOf(asked, newGroupSchema)
    if (faults.of(facts.platform).offline)
      throw new ProvisioningError(500, 'M_UNKNOWN', 'Internal error creating group')
    return groups.make(loginFor(asked), asked.params.type ?? '', given)
  }

  async function fetchOlder(asked: Asked) {
    if (!(await homeserver.takesBatches()))
      throw new ProvisioningError(404, 'M_UNRECOGNIZED', 'Homeserver does not support batch sending')
    const login = loginFor(asked)
    const portal = await portals.ofRoom(asked.params.room ?? '')
    const chat = portal?.loginId === login.id ? store.chat(portal.chatId) : undefined
    if (!portal || !chat) throw new ProvisioningError(404, 'M_NOT_FOUND', 'Portal not found')
    const isMore = await deliveries.sendOlder(portal, login, chat)
    return isMore ? {} : new Response(null, { status: 204 })
  }

  function authorize(request: Request, url: URL): string {
    const token = bearerToken(request)
    if (token === undefined) throw new ProvisioningError(401, 'M_MISSING_TOKEN', 'Missing auth token')
    const userId = url.searchParams.get('user_id') ?? ''
    if (!equalInConstantTime(token, sharedSecret) || userId === '') {
      throw new ProvisioningError(401, 'M_UNKNOWN_TOKEN', 'Invalid auth token')
    }
    return userId
  }

  return {
    async fetch(request: Request): Promise<Response> {
      const url = new URL(request.url)
      try {
        const userId = authorize(request, url)
        const found = router.find(request.method, url.pathname)
        if (!found) {
          const status = router.methodsOf(url.pathname).length > 0 ? 405 : 404
          throw new ProvisioningError(status, 'M_UNRECOGNIZED', 'Unrecognized endpoint')
        }
        const { handler, params } = found
        const answer = (await handler({ userId, url, request, params })) ?? {}
        return answer instanceof Response ? answer : Response.json(answer)
      } catch (error) {
        if (error instanceof ProvisioningError) return error.toResponse()
        if (isOutOfSpace(error) || isRefusedForSpace(error))
          return new ProvisioningError(507, 'M_UNKNOWN', 'There is no space left to store this').toResponse()
        context.logger.error({ err: error, path: url.pathname }, 'a provisioning request failed')
        return new ProvisioningError(500, 'M_UNKNOWN', 'Internal error').toResponse()
      }
    },
  }
}

const CAPABILITIES = {
  resolve_identifier: {
    create_dm: true,
    lookup_phone: true,
    lookup_email: false,
    lookup_username: false,
    any_phone: true,
    contact_list: true,
    search: true,
  },
}

function stepBody(process: LoginProcess, step: LoginStep) {
  return { login_id: process.id, ...step }
}

async function bodyOf<T>({ request }: Asked, schema: z.ZodType<T>): Promise<T> {
  const text = await readTextAtMost(request, MAX_BODY_BYTES)
  if (text === null) throw new ProvisioningError(413, 'M_TOO_LARGE', 'The request body is too large')
  if (isNestedTooDeep(text))
    throw new ProvisioningError(400, 'M_BAD_JSON', 'The request body is nested too deep')
  let json: unknown
  try {
    json = JSON.parse(text === '' ? '{}' : text)
  } catch {
    throw new ProvisioningError(400, 'M_NOT_JSON', 'Failed to decode request body')
  }
  const parsed = schema.safeParse(json)
  if (!parsed.success) throw new ProvisioningError(400, 'M_BAD_JSON', z.prettifyError(parsed.error))
  return parsed.data
}

/** The bridge's homeserver is out of space, too. */
function isRefusedForSpace(error: unknown): boolean {
  return error instanceof MatrixError && error.status === 507
}
