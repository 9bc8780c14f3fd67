/**
 * A bridge without a network, on a real homeserver; a test scripts its contacts. It tests the path
 * between homeserver and gateway; every user has one login, connected from the beginning.
 */
import { freePort } from './program.ts'

type Json = Record<string, unknown>

const AS_TOKEN = 'the_as_token_of_the_portal_bridge'
const HS_TOKEN = 'the_hs_token_of_the_portal_bridge'
const PROVISIONING_SECRET = 'the provisioning secret of the portal bridge'
const LOGIN = '4915100000000'

interface PushedEvent {
  event_id: string
  room_id: string
  sender: string
  type: string
}

/** A chat of one of the gateway's users with a contact. */
export class Portal {
  private said = 0

  constructor(
    readonly roomId: string,
    private readonly ghost: string,
    private readonly bridge: PortalBridge,
  ) {}

  /** The contact sends these texts in order. @returns the event ids */
  async say(...texts: string[]): Promise<string[]> {
    const ids: string[] = []
    for (const body of texts) {
      const path = `${this.path}/send/m.room.message/say${this.said++}`
      const sent = await this.bridge.call('PUT', path, { msgtype: 'm.text', body }, this.ghost)
      ids.push(String(sent.event_id))
    }
    return ids
  }

  /** The contact sends an event that is no text. */
  async tell(type: string, content: Json): Promise<void> {
    await this.bridge.call('PUT', `${this.path}/send/${type}/say${this.said++}`, content, this.ghost)
  }

  /** All messages in the room, oldest first. */
  async messages(): Promise<{ sender: string; body: string }[]> {
    const { chunk } = await this.bridge.call('GET', `${this.path}/messages?dir=b&limit=1000`)
    return (chunk as { type: string; sender: string; content: { body: string } }[])
      .filter(event => event.type === 'm.room.message')
      .map(({ sender, content }) => ({ sender, body: content.body }))
      .reverse()
  }

  /** The id of the newest message. */
  async lastMessageId(): Promise<string> {
    const { chunk } = await this.bridge.call('GET', `${this.path}/messages?dir=b&limit=50`)
    const newestFirst = chunk as { type: string; event_id: string }[]
    return newestFirst.find(({ type }) => type === 'm.room.message')?.event_id ?? ''
  }

  async membershipOf(userId: string): Promise<string> {
    const { membership } = await this.bridge.call('GET', `${this.path}/state/m.room.member/${userId}`)
    return String(membership)
  }

  async invite(userId: string): Promise<void> {
    await this.bridge.call('POST', `${this.path}/invite`, { user_id: userId })
  }

  async encrypt(): Promise<void> {
    const algorithm = 'm.megolm.v1.aes-sha2'
    await this.bridge.call('PUT', `${this.path}/state/m.room.encryption`, { algorithm })
  }

  async kick(userId: string): Promise<void> {
    await this.bridge.call('POST', `${this.path}/kick`, { user_id: userId })
  }

  /** The contact has read up to this event. */
  async read(eventId: string): Promise<void> {
    await this.bridge.call(
      'POST',
      `${this.path}/receipt/m.read/${encodeURIComponent(eventId)}`,
      {},
      this.ghost,
    )
  }

  private get path(): string {
    return `/rooms/${encodeURIComponent(this.roomId)}`
  }
}

export class PortalBridge implements AsyncDisposable {
  private readonly port = freePort()
  private readonly server = Bun.serve({
    port: this.port,
    hostname: '127.0.0.1',
    fetch: request =>
      request.url.includes('/_matrix/app/') ? this.takePushed(request) : this.provision(request),
    // bridgev2 answers like this when its homeserver is away.
    error: error => Response.json({ errcode: 'M_UNKNOWN', error: error.message }, { status: 500 }),
  })
  private readonly directChats = new Map<string, Promise<Portal>>()
  private readonly ghosts = new Map<string, Promise<string>>()
  private homeserverUrl = ''

  constructor(private readonly serverName: string) {}

  /** The bridge's registration, as YAML. */
  get registration(): string {
    return JSON.stringify({
      id: 'portal-bridge',
      url: `http://127.0.0.1:${this.port}`,
      as_token: AS_TOKEN,
      hs_token: HS_TOKEN,
      sender_localpart: 'portalbot',
      rate_limited: false,
      namespaces: { users: [{ regex: `@portal_.*:${this.serverName}`, exclusive: true }] },
    })
  }

  /** The gateway's settings for the bridge. */
  get settings(): Record<string, string> {
    return {
      BRIDGES: 'wa',
      BRIDGE_WA_URL: `http://127.0.0.1:${this.port}`,
      BRIDGE_WA_SECRET: PROVISIONING_SECRET,
    }
  }

  /** Number of every user's login. */
  readonly deviceId = LOGIN

  connect(homeserverUrl: string): void {
    this.homeserverUrl = homeserverUrl
  }

  /** A new chat of these users with a contact that nobody has written to; they are invited. */
  async portal(contact: string, ...userIds: string[]): Promise<Portal> {
    const ghost = await this.ghost(contact)
    const { room_id: roomId } = await this.call('POST', '/createRoom', {
      preset: 'private_chat',
      name: `Contact ${contact}`,
      invite: [ghost, ...userIds],
      initial_state: [{ type: 'm.bridge', state_key: 'portal', content: this.bridgeInfo(contact) }],
    })
    const portal = new Portal(String(roomId), ghost, this)
    await this.call('POST', `/rooms/${encodeURIComponent(portal.roomId)}/join`, {}, ghost)
    return portal
  }

  /** The chat that the gateway asked for to write to a contact. */
  directChat(userId: string, contact: string): Promise<Portal> {
    const key = `${userId} ${contact}`
    return onceDone(this.directChats, key, () => this.portal(contact, userId))
  }

  /** Calls the client-server API as the bot or a user of the bridge. @throws Error if refused */
  async call(method: string, path: string, body?: Json, userId?: string): Promise<Json> {
    const url = new URL(`${this.homeserverUrl}/_matrix/client/v3${path}`)
    if (userId) url.searchParams.set('user_id', userId)
    const response = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${AS_TOKEN}` },
      // A kept connection may lead to the homeserver before its restart.
      keepalive: false,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const answer = (await response.json()) as Json
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`)
    return answer
  }

  private ghost(contact: string): Promise<string> {
    const localpart = `portal_${contact}`
    const body = { type: 'm.login.application_service', username: localpart, inhibit_login: true }
    const isThere = (error: Error) => error.message.includes('M_USER_IN_USE')
    return onceDone(this.ghosts, contact, async () => {
      await this.call('POST', '/register', body).catch(error => {
        if (!isThere(error)) throw error
      })
      return `@${localpart}:${this.serverName}`
    })
  }

  private get bot(): string {
    return `@portalbot:${this.serverName}`
  }

  private bridgeInfo(contact: string): Json {
    return {
      bridgebot: this.bot,
      protocol: { id: 'portal' },
      channel: { id: contact, displayname: `Contact ${contact}`, 'fi.mau.receiver': LOGIN },
      'com.beeper.room_type': 'dm',
    }
  }

  /** Confirms every message of the gateway's users as taken by the network. */
  private async takePushed(request: Request): Promise<Response> {
    if (request.headers.get('authorization') !== `Bearer ${HS_TOKEN}`)
      return Response.json({}, { status: 403 })
    const { events = [] } = (await request.json()) as { events?: PushedEvent[] }
    for (const event of events) {
      if (event.type !== 'm.room.message' || event.sender.startsWith('@portal')) continue
      const path = `/rooms/${encodeURIComponent(event.room_id)}/send/com.beeper.message_send_status`
      await this.call('PUT', `${path}/${encodeURIComponent(event.event_id)}`, {
        'm.relates_to': { rel_type: 'm.reference', event_id: event.event_id },
        status: 'SUCCESS',
      })
    }
    return Response.json({})
  }

  /** The provisioning API, as far as a linked device needs it. */
  private async provision(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    const userId = searchParams.get('user_id') ?? ''
    if (request.headers.get('authorization') !== `Bearer ${PROVISIONING_SECRET}`)
      return Response.json({ errcode: 'M_UNKNOWN_TOKEN', error: 'wrong secret' }, { status: 401 })
    const [, call = '', contact = ''] = /\/v3\/([^/]+)(?:\/([^/]+))?/.exec(pathname) ?? []
    switch (call) {
      case 'whoami':
        return Response.json({
          bridge_bot: this.bot,
          command_prefix: '!portal',
          login_flows: [{ id: 'qr', name: 'QR', description: '' }],
          logins: [
            { id: LOGIN, name: 'Ada', profile: { phone: `+${LOGIN}` }, state: { state_event: 'CONNECTED' } },
          ],
        })
      case 'contacts':
        return Response.json({ contacts: [] })
      case 'resolve_identifier':
      case 'create_dm': {
        const number = decodeURIComponent(contact).replace('+', '')
        const found = { id: number, name: `Contact ${number}`, mxid: await this.ghost(number) }
        if (call === 'resolve_identifier') return Response.json(found)
        const { roomId } = await this.directChat(userId, number)
        return Response.json({ ...found, dm_room_mxid: roomId })
      }
      default:
        return Response.json({ errcode: 'M_UNRECOGNIZED', error: 'unknown endpoint' }, { status: 404 })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop(true)
  }
}

/** Remembers successes; a failure is tried again. */
function onceDone<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const found = known.get(key)
  if (found !== undefined) return found
  const made = make()
  known.set(key, made)
  made.catch(() => known.delete(key))
  return made
}
