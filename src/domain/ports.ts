/**
 * What the use cases need from the outside, as interfaces. src/matrix, src/bridges and src/webhooks/client implement them; modules
 * know nothing else of Matrix or of bridges.
 */
import type { ChatKind } from './states.ts'

/** A Matrix account made for an identity. */
export interface MatrixAccount {
  userId: string
  deviceId: string
  /** Null where the application service speaks for the account. */
  accessToken: string | null
}

/** Makes accounts at the homeserver. */
export interface AccountProvisioner {
  /**
   * @param localpart of the new user id, lowercase letters and digits
   * @throws GatewayError homeserver_unavailable or homeserver_error; asking again with the same localpart is harmless
   */
  createAccount(localpart: string): Promise<MatrixAccount>
}

/** A Matrix room event as the client-server API gives it. */
export interface RoomEvent {
  event_id: string
  room_id: string
  sender: string
  type: string
  origin_server_ts: number
  content: Record<string, unknown>
  state_key?: string | undefined
  redacts?: string | undefined
  unsigned?: Record<string, unknown> | undefined
}

/** What an identity can do in Matrix. Every call throws GatewayError homeserver_unavailable, homeserver_error, forbidden or not_found. */
export interface MatrixSession {
  readonly userId: string
  /** @param txnId makes a repeat of the same call answer the same event. @returns the event id */
  send(roomId: string, type: string, content: Record<string, unknown>, txnId: string): Promise<string>
  /** Uploads a file of the disk without holding it in memory. @returns its mxc:// URI */
  upload(path: string, fileName: string, mimeType: string): Promise<string>
  /** The bytes behind an mxc:// URI, as a stream. */
  download(mxcUri: string): Promise<Response>
  join(roomId: string): Promise<void>
  createDirectRoom(invitee: string): Promise<string>
  state(roomId: string): Promise<RoomEvent[]>
  /** Newest first, from the end of the room (or from `from`). */
  messagesBackwards(
    roomId: string,
    limit: number,
    from?: string,
  ): Promise<{ events: RoomEvent[]; next: string | null }>
}

/** Gives the session of an identity's Matrix user. */
export interface MatrixSessions {
  actingAs(userId: string): MatrixSession
}

/** Where a login stands at the bridge. */
export interface BridgeLogin {
  id: string
  name: string
  phone: string | null
  /** bridge state_event, such as CONNECTED or BAD_CREDENTIALS. */
  stateEvent: string | null
  reason: string | null
}

export interface BridgeContact {
  matrixUserId: string | null
  name: string
  phone: string | null
  roomId: string | null
}

/** One step of a login at a bridge. */
export type LoginStep =
  | {
      kind: 'display'
      processId: string
      stepId: string
      display: 'qr' | 'code' | 'emoji' | 'nothing'
      data: string
      instructions: string
    }
  | { kind: 'input'; processId: string; stepId: string; fields: LoginField[]; instructions: string }
  | { kind: 'complete'; loginId: string }

export interface LoginField {
  id: string
  type: string
  name: string
  description: string
  options: string[]
}

export interface LoginFlow {
  id: string
  name: string
  description: string
}

/**
 * A bridge to one phone network. Calls act for one of our Matrix users. They throw GatewayError bridge_unavailable (not reachable),
 * bridge_timeout, bridge_error (it refused, with its reason) or not_found (no such person on the network).
 */
export interface Bridge {
  readonly platform: string
  flows(userId: string): Promise<LoginFlow[]>
  logins(userId: string): Promise<BridgeLogin[]>
  /** @param loginId re-logs in this login instead of making a new one */
  startLogin(userId: string, flow: string, loginId?: string): Promise<LoginStep>
  /** Waits until the shown step changes: the next step. */
  waitForLogin(userId: string, step: LoginStep & { kind: 'display' }, signal: AbortSignal): Promise<LoginStep>
  submitLogin(
    userId: string,
    step: LoginStep & { kind: 'input' },
    fields: Record<string, string>,
  ): Promise<LoginStep>
  cancelLogin(userId: string, processId: string): Promise<void>
  logout(userId: string, loginId: string): Promise<void>
  contacts(userId: string, loginId: string): Promise<BridgeContact[]>
  /** Who answers to this phone number or network id. */
  resolveIdentifier(userId: string, loginId: string, identifier: string): Promise<BridgeContact>
  /** The room of the chat with this person, made if there is none. */
  createDirectChat(
    userId: string,
    loginId: string,
    identifier: string,
  ): Promise<{ roomId: string; contact: BridgeContact }>
  /** Joins a group by its invite link. @returns the network's id of the group, or null when the bridge doesn't say it */
  joinGroup(userId: string, loginId: string, link: string): Promise<{ channelId: string | null }>
}

export interface Bridges {
  readonly platforms: readonly string[]
  /** @throws GatewayError bad_request naming the platforms there are */
  forPlatform(platform: string): Bridge
}

/** What a portal room's m.bridge state says. */
export interface PortalInfo {
  kind: ChatKind
  platform: string | null
  bridgeBot: string | null
  channelId: string | null
  receiver: string | null
}
