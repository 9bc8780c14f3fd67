/**
 * Interfaces of Matrix and bridges, as the use cases need them; src/matrix and src/bridges have the
 * implementations.
 */
import type { Fact } from './facts.ts'
import type { AskingStep, LoginFlow, LoginStep } from './login-steps.ts'
import type { BridgeDriver } from './states.ts'
import type { PlatformView } from './views/platform.ts'

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
   * @throws GatewayError homeserver_unavailable or homeserver_error; a repeat is harmless
   */
  createAccount(localpart: string): Promise<MatrixAccount>
  /**
   * Makes a new access token for an account whose own was revoked, for the same Matrix device, so
   * that the homeserver still recognises repeats. Undefined where accounts have no tokens.
   * @throws GatewayError as createAccount; homeserver_error when there is no way to get one
   */
  renewToken?(account: Pick<MatrixAccount, 'userId' | 'deviceId'>): Promise<MatrixAccount>
}

/** The access tokens of the accounts, as they are kept. */
export interface AccessTokenStore {
  /** Null when there is no such account of ours. */
  find(userId: string): Promise<MatrixAccount | null>
  /** Puts another token in the place of the one before, in one write. */
  replace(account: MatrixAccount): Promise<void>
}

/** Whose events a /sync loop fetches, and from where on. */
export interface SyncPosition {
  userId: string
  /** `next_batch` of the last response that was stored; null before the first. */
  since: string | null
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

/** The facts of one application-service transaction, or of one /sync response. */
export interface EventBatch {
  /**
   * Stored together with the facts; a batch at a stored position is a repeat. A look back has no
   * position of its own: it tells one user once more what was said lately.
   */
  position:
    | { kind: 'transaction'; txnId: string }
    | { kind: 'sync'; userId: string; nextBatch: string }
    | { kind: 'look_back'; userId: string }
  /** In the order they happened. */
  facts: readonly Fact[]
  /** How many Matrix events they were read from. */
  eventCount: number
  /** The newest event's time, in milliseconds since the Unix epoch; null without events. */
  newestAt: number | null
}

/** Who types in a room, of all its people. */
export interface TypingNotice {
  roomId: string
  userIds: readonly string[]
}

/** Takes the facts that homeservers tell our users. */
export interface EventSink {
  /**
   * Resolves when the batch is on disk; only then may it be acknowledged to the homeserver. If it
   * rejects, deliver the same batch again.
   */
  accept(batch: EventBatch): Promise<void>
  /**
   * Takes what is true for a few seconds only, so it is neither stored nor acknowledged.
   * @param hearer the Matrix user who was told; null: all of ours in these rooms
   */
  typing?(notices: readonly TypingNotice[], hearer: string | null): void
}

/**
 * Acts for an identity in Matrix. Every call throws GatewayError homeserver_unavailable (with
 * retryAfterS under a rate limit), homeserver_error, forbidden or not_found. `send` throws at once
 * under a rate limit, since the outbox waits by itself; the others wait and try again first.
 */
export interface MatrixSession {
  readonly userId: string
  /**
   * @param txnId makes a repeat of the same call answer the same event
   * @param isRepeat whether an earlier call, whose answer isn't known, may have sent it
   * @returns the event id
   */
  send(
    roomId: string,
    type: string,
    content: Record<string, unknown>,
    txnId: string,
    isRepeat?: boolean,
  ): Promise<string>
  /**
   * Sends several events of one type in order and in one write, where the homeserver can.
   * @returns the ids of the first events, of at least one; those behind them weren't sent
   */
  sendTogether?(
    roomId: string,
    type: string,
    events: readonly { content: Record<string, unknown>; txnId: string }[],
  ): Promise<[string, ...string[]]>
  /** Uploads a file of the disk without holding it in memory. @returns its mxc:// URI */
  upload(path: string, fileName: string, mimeType: string): Promise<string>
  /** The bytes behind an mxc:// URI, as a stream. */
  download(mxcUri: string): Promise<Response>
  /**
   * Sets state of a room. A repeat changes nothing, and may answer another event.
   * @returns the event id
   */
  sendState(roomId: string, type: string, stateKey: string, content: Record<string, unknown>): Promise<string>
  /** Shows the user as typing there for `timeoutMs`, or no longer: null. */
  typing(roomId: string, timeoutMs: number | null): Promise<void>
  /**
   * Takes an event back. @param txnId and isRepeat as of `send`
   * @returns the id of the event that does so
   */
  redact(roomId: string, eventId: string, txnId: string, isRepeat?: boolean): Promise<string>
  /** Marks everything in a room as read, up to an event. A repeat changes nothing. */
  readUpTo(roomId: string, eventId: string): Promise<void>
  join(roomId: string): Promise<void>
  createDirectRoom(invitee: string): Promise<string>
  state(roomId: string): Promise<RoomEvent[]>
  /**
   * Addresses of a bridge's user, as URIs such as tel:+237…, where bridge and homeserver keep them
   * in its profile; none elsewhere.
   */
  identifiersOf(userId: string): Promise<string[]>
  event(roomId: string, eventId: string): Promise<RoomEvent>
  /** Newest first, from the end of the room (or from `from`). */
  messagesBackwards(
    roomId: string,
    limit: number,
    from?: string,
  ): Promise<{ events: RoomEvent[]; next: string | null }>
}

/** Gives the session of an identity's Matrix user, and decides how its calls are authorised. */
export interface MatrixSessions {
  actingAs(userId: string): MatrixSession
  /** Why the account can't be used: its revoked token couldn't be replaced; null while it works. */
  accountTrouble(userId: string): string | null
}

/** Where a login stands at the bridge. */
export interface BridgeLogin {
  id: string
  name: string
  phone: string | null
  /** bridge state_event, such as CONNECTED or BAD_CREDENTIALS. */
  stateEvent: string | null
  /** Why it is so, in the bridge's words, for people to read. */
  reason: string | null
  /** The bridge's own code of what is wrong, such as wa-logged-out. */
  errorCode?: string | null
  /**
   * Until when the network lets it start no new chats, in milliseconds since the Unix epoch; null:
   * it may. Absent where the bridge doesn't say.
   */
  restrictedUntil?: number | null
}

export interface BridgeContact {
  /** On the network. */
  id: string
  matrixUserId: string | null
  name: string
  /** Digits. */
  phone: string | null
  /** URIs by which the person can be found as well, such as tel:+237… or telegram:name. */
  identifiers: string[]
  roomId: string | null
  /** mxc:// URI of their picture; absent or null where there is none. */
  avatarUri?: string | null
}

/** A network's abilities through its bridge. Null where the bridge doesn't say. */
export type BridgeCapabilities = NonNullable<PlatformView['capabilities']>

export interface BridgeDescription extends Pick<PlatformView, 'name' | 'bot' | 'flows'> {
  driver: BridgeDriver
  capabilities: BridgeCapabilities
}

/** A group that was made for a login. */
export interface CreatedGroup {
  roomId: string
  /** The network's id of the group. */
  channelId: string
  /** Network ids of those whom the network didn't let in, with its reasons. */
  failed: ReadonlyMap<string, string>
}

/** A group that was joined by its link: the bridge tells its id or its name. */
export interface JoinedGroup {
  /** The network's id of the group. */
  channelId: string | null
  name: string | null
  /** The login had been in it before. */
  already: boolean
}

/**
 * A bridge to one phone network. Calls act for one of our Matrix users. They throw GatewayError
 * bridge_unavailable (not reachable), bridge_timeout, bridge_error (it refused, with its reason),
 * not_supported (bridge or network has no such thing) or not_found (no such person).
 */
export interface Bridge {
  readonly platform: string
  /** Matrix user id of the bridge's bot. */
  bot(userId: string): Promise<string | null>
  driver(userId: string): Promise<BridgeDriver>
  describe(userId: string): Promise<BridgeDescription>
  /**
   * Waits for a bridge that is just starting.
   * @param until an answer has to be there then, by the steady clock; without it nobody waits
   */
  flows(userId: string, until?: number): Promise<LoginFlow[]>
  /**
   * The logins there are. May be a few seconds old where asking the bridge is expensive.
   * @param until they are asked for anew, and have to be there then, by the steady clock
   */
  logins(userId: string, until?: number): Promise<BridgeLogin[]>
  /** Something about the user's logins has changed: what is remembered of them is out of date. */
  forgetLogins(userId: string): void
  /**
   * @param loginId re-logs in this login instead of making a new one
   * @param until a bot has to have begun the login then, by the steady clock
   */
  startLogin(userId: string, flow: string, loginId?: string, until?: number): Promise<LoginStep>
  /**
   * Waits until the shown step changes: the next step.
   * @throws GatewayError bridge_timeout when the bridge has waited long enough for the person
   */
  waitForLogin(userId: string, step: LoginStep & { kind: 'display' }, signal: AbortSignal): Promise<LoginStep>
  /**
   * Gives what a step asks for. @returns the next step
   * @throws GatewayError bad_request with the bridge's words when it doesn't take the answer
   */
  submitLogin(userId: string, step: AskingStep, fields: Record<string, string>): Promise<LoginStep>
  /** True while a login stands on this step: after a wrong answer most bridges end it, not all. */
  isLoginAt(userId: string, step: AskingStep): Promise<boolean>
  cancelLogin(userId: string, processId: string): Promise<void>
  logout(userId: string, loginId: string): Promise<void>
  /** The login's address book. */
  contacts(userId: string, loginId: string): Promise<BridgeContact[]>
  /** People of the network by a part of their name. */
  search(userId: string, loginId: string, query: string): Promise<BridgeContact[]>
  /** Who answers to this phone number or network id. */
  resolveIdentifier(userId: string, loginId: string, identifier: string): Promise<BridgeContact>
  /** The room of the chat with this person, made if there is none. */
  createDirectChat(
    userId: string,
    loginId: string,
    identifier: string,
  ): Promise<{ roomId: string; contact: BridgeContact }>
  /**
   * Makes a group, with the login in it.
   * @param participants network ids or Matrix user ids
   * @throws GatewayError bad_request when the network takes no such group
   */
  createGroup(
    userId: string,
    loginId: string,
    group: { name: string; participants: readonly string[] },
  ): Promise<CreatedGroup>
  /**
   * Fetches older messages of a chat, which come as history.
   * @returns `pending`: they come later, as the network has to be asked; `complete`: there are none
   * @throws GatewayError not_supported where the bridge or its homeserver can't
   */
  fetchOlder(userId: string, loginId: string, roomId: string): Promise<'fetched' | 'pending' | 'complete'>
  /** The network's id of an invite link's group, without joining; null: the bridge can't tell. */
  resolveGroupLink(userId: string, link: string): Promise<string | null>
  /**
   * Joins a group by its invite link.
   * @param loginId joins if `joinsAsLogin`; otherwise the bridge takes the first login by id
   */
  joinGroup(userId: string, loginId: string, link: string): Promise<JoinedGroup>
  /** True when the bridge can be told which login joins a group. */
  joinsAsLogin(userId: string): Promise<boolean>
}

export interface Bridges {
  /** Read anew each time: bridges are attached and taken away while the gateway runs. */
  readonly platforms: readonly string[]
  /** @throws GatewayError bad_request naming the platforms there are */
  forPlatform(platform: string): Bridge
  /**
   * The platform whose bridge has this bot, null when none has. Asks the bridges once, as `userId`.
   * @throws GatewayError bridge_unavailable when it can't be told because a bridge doesn't answer
   */
  platformOfBot(bot: string, userId: string): Promise<string | null>
  /**
   * True for Matrix users of the platform's bridge, its bot included; null where its users aren't
   * known.
   */
  ownsUser(platform: string, matrixUserId: string): boolean | null
}
