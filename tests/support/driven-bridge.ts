/**
 * A bridge as its homeserver and its users have it: its provisioning API, and its portal rooms on
 * the embedded homeserver, read as its bot and written to as a user.
 */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { BridgeProgram } from './bridge-program.ts'
import { type Answer, bearer, type JsonClient, jsonClient } from './json-client.ts'
import { waitFor } from './wait-for.ts'

type Json = Record<string, unknown>

export interface RoomEvent {
  event_id: string
  type: string
  sender: string
  state_key?: string
  content: Json
  origin_server_ts: number
  unsigned: Json
}

export class DrivenBridge {
  readonly serverName: string
  readonly bot: string
  /** Localparts of ghosts begin so. */
  readonly ghostPrefix: string
  private readonly provisioning: JsonClient
  private readonly asBot: JsonClient
  private readonly asUsers: JsonClient

  constructor(bridge: BridgeProgram) {
    const config = parse(readFileSync(bridge.configFile, 'utf8'))
    this.serverName = config.homeserver.domain
    this.bot = `@${config.appservice.bot.username}:${this.serverName}`
    this.ghostPrefix = String(config.appservice.username_template).replace(/\{\{.*/, '')
    this.provisioning = jsonClient(
      `${bridge.url}/_matrix/provision/v3`,
      bearer(config.provisioning.shared_secret),
    )
    this.asBot = jsonClient(config.homeserver.address, bearer(config.appservice.as_token))
    const puppetToken = String(config.double_puppet.secrets[this.serverName]).replace('as_token:', '')
    this.asUsers = jsonClient(config.homeserver.address, bearer(puppetToken))
  }

  /** @param path of the provisioning API, such as `/whoami` */
  get<T>(user: string, path: string): Promise<Answer<T>> {
    return this.provisioning.get(asked(path, user))
  }

  /** @param path of the provisioning API, such as `/login/start/qr` */
  post<T>(user: string, path: string, body: Json = {}): Promise<Answer<T>> {
    return this.provisioning.post(asked(path, user), body)
  }

  /** @param path of the homeserver, such as `/_matrix/client/v3/profile/@a:b` */
  async read<T>(path: string): Promise<T> {
    return taken(await this.asBot.get<T>(path))
  }

  /** All fields of a user's profile. */
  profile(user: string): Promise<Json> {
    return this.read(`/_matrix/client/v3/profile/${encodeURIComponent(user)}`)
  }

  /** A user's event. @returns its id */
  async send(user: string, room: string, type: string, content: Json): Promise<string> {
    const path = `${roomPath(room)}/send/${type}/${crypto.randomUUID()}`
    return taken(await this.asUsers.put<{ event_id: string }>(asked(path, user), content)).event_id
  }

  /** A user's state event. @returns its id */
  async putState(user: string, room: string, type: string, key: string, content: Json): Promise<string> {
    const path = `${roomPath(room)}/state/${type}/${encodeURIComponent(key)}`
    return taken(await this.asUsers.put<{ event_id: string }>(asked(path, user), content)).event_id
  }

  /** A user takes an event back. */
  async redact(user: string, room: string, event: string): Promise<string> {
    const path = `${roomPath(room)}/redact/${encodeURIComponent(event)}/${crypto.randomUUID()}`
    return taken(await this.asUsers.put<{ event_id: string }>(asked(path, user), {})).event_id
  }

  /** A user reads a room up to an event. */
  async markRead(user: string, room: string, event: string): Promise<void> {
    const path = `${roomPath(room)}/receipt/m.read/${encodeURIComponent(event)}`
    taken(await this.asUsers.post<Json>(asked(path, user), {}))
  }

  /** All rooms of a chat, open ones only. @param chat its id on the network */
  async portals(chat: string): Promise<Portal[]> {
    const { joined_rooms } = await this.read<{ joined_rooms: string[] }>('/_matrix/client/v3/joined_rooms')
    const portals = joined_rooms.map(room => new Portal(this, room))
    const ids = await Promise.all(portals.map(portal => portal.chat()))
    return portals.filter((_, index) => ids[index] === chat)
  }

  /** Waits for a chat's room. @param chat its id on the network */
  portal(chat: string): Promise<Portal> {
    return waitFor(async () => (await this.portals(chat)).at(0), { what: `the room of ${chat}` })
  }
}

export class Portal {
  constructor(
    private readonly bridge: DrivenBridge,
    readonly id: string,
  ) {}

  async state(): Promise<RoomEvent[]> {
    return this.bridge.read(`${roomPath(this.id)}/state`)
  }

  /** The content of the state event of a type; undefined when there is none. */
  async stateOf(type: string): Promise<Json | undefined> {
    return (await this.state()).find(event => event.type === type)?.content
  }

  /** The chat's id on the network; undefined in rooms that aren't portals. */
  async chat(): Promise<string | undefined> {
    const info = await this.stateOf('m.bridge')
    return (info?.channel as { id: string } | undefined)?.id
  }

  /** Ghosts in the room, by their ids on the network. */
  async ghosts(): Promise<string[]> {
    const { ghostPrefix } = this.bridge
    return (await this.members())
      .map(localpart)
      .filter(name => name.startsWith(ghostPrefix))
      .map(name => name.slice(ghostPrefix.length))
  }

  /** Waits for the user whose chat it is. */
  user(): Promise<string> {
    const { bot, ghostPrefix } = this.bridge
    return waitFor(
      async () =>
        (await this.members()).find(member => member !== bot && !localpart(member).startsWith(ghostPrefix)),
      { what: `the user of ${this.id}` },
    )
  }

  private async members(): Promise<string[]> {
    return (await this.state())
      .filter(({ type, content }) => type === 'm.room.member' && content.membership === 'join')
      .map(({ state_key }) => state_key ?? '')
      .sort()
  }

  /** The newest events, oldest first. */
  async events(): Promise<RoomEvent[]> {
    const { chunk } = await this.bridge.read<{ chunk: RoomEvent[] }>(
      `${roomPath(this.id)}/messages?dir=b&limit=100`,
    )
    return chunk.reverse()
  }

  waitForEvent(wanted: (event: RoomEvent) => boolean, what = wanted.toString()): Promise<RoomEvent> {
    return waitFor(async () => (await this.events()).find(wanted), { what: `${what} in ${this.id}` })
  }

  /** Waits for a text. */
  waitForBody(body: string): Promise<RoomEvent> {
    return this.waitForEvent(({ content }) => content.body === body, `"${body}"`)
  }

  /** The bridge's report on a user's event. */
  async statusOf(event: string): Promise<{ status: string; reason?: string; message?: string }> {
    const { content } = await this.waitForEvent(
      ({ type, content }) =>
        type === 'com.beeper.message_send_status' &&
        (content['m.relates_to'] as { event_id: string }).event_id === event &&
        content.status !== 'PENDING',
      `the status of ${event}`,
    )
    return content as { status: string; reason?: string; message?: string }
  }
}

const localpart = (userId: string) => userId.slice(1, userId.indexOf(':'))

const roomPath = (room: string) => `/_matrix/client/v3/rooms/${encodeURIComponent(room)}`

function asked(path: string, user: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}user_id=${encodeURIComponent(user)}`
}

function taken<T>({ status, body }: Answer<T>): T {
  if (status >= 200 && status < 300) return body
  throw new Error(`the homeserver answered ${status}: ${JSON.stringify(body)}`)
}
