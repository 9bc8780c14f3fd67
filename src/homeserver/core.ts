/** Shared by all parts of the homeserver: the stores, the caches and the one way to write. */
import type { Database } from 'bun:sqlite'
import { LRUCache } from 'lru-cache'
import { type Clock, systemClock } from '../lib/clock.ts'
import { FileStore } from '../lib/file-store.ts'
import type { Committer } from '../lib/group-commit.ts'
import { KeyedMutex } from '../lib/keyed-mutex.ts'
import { type Logger, silentLogger } from '../lib/logger.ts'
import { statementsOf } from '../lib/statements.ts'
import { Appservices } from './appservices/appservices.ts'
import { MatrixError, tooLarge } from './errors.ts'
import { Profiles } from './profiles.ts'
import { Rooms, type Taken } from './rooms/rooms.ts'
import { appserviceStore } from './store/appservices.ts'
import { eventStore } from './store/events.ts'
import { keyStore } from './store/keys.ts'
import { mediaStore } from './store/media.ts'
import { userStore } from './store/users.ts'
import { Stream } from './stream.ts'
import { Tx } from './tx.ts'
import { Typing } from './typing.ts'

export interface CoreOptions {
  serverName: string
  database: Database
  committer: Committer
  mediaDir: string
  maxUploadBytes: number
  clock?: Clock
  logger?: Logger
}

export interface Session {
  userId: string
  deviceId: string
}

const CACHED_SESSIONS = 10_000
const CACHED_USERS = 50_000
/** Positions of the stream between two wake-ups of all appservices. */
const WAKE_ALL_EVERY = 1_000

export class Core {
  readonly serverName: string
  /** The content of uploads. */
  readonly files: FileStore
  readonly clock: Clock
  readonly logger: Logger
  readonly events
  readonly users
  readonly media
  readonly keys
  readonly appserviceRows
  private readonly writesSoFar
  readonly appservices: Appservices
  readonly rooms: Rooms
  readonly stream: Stream
  readonly typing: Typing
  readonly profiles: Profiles
  readonly sessions = new LRUCache<string, Session>({ max: CACHED_SESSIONS })
  /** Uploads to the same reserved place run one after the other. */
  readonly uploads = new KeyedMutex()
  /** Aborts when the server stops. */
  readonly stopping = new AbortController()
  /** Those who push to appservices, by the appservice's number. */
  pushers: ReadonlyMap<number, { nudge(): void; resume(): void }> = new Map()

  private readonly knownUsers = new LRUCache<string, true>({ max: CACHED_USERS })
  private readonly lastInRoom = new LRUCache<number, number>({ max: CACHED_USERS })
  private readonly committer: Committer
  private allWokenAt = 0

  constructor(options: CoreOptions) {
    const { database, maxUploadBytes } = options
    this.serverName = options.serverName
    this.files = new FileStore(options.mediaDir, maxUploadBytes, () =>
      tooLarge(`Uploads are limited to ${maxUploadBytes} bytes`),
    )
    this.clock = options.clock ?? systemClock
    this.logger = options.logger ?? silentLogger
    this.committer = options.committer
    this.events = eventStore(database)
    this.users = userStore(database)
    this.media = mediaStore(database)
    this.keys = keyStore(database)
    this.appserviceRows = appserviceStore(database)
    this.writesSoFar = statementsOf(database).writesSoFar
    this.appservices = new Appservices(this.serverName, this.appserviceRows.all())
    this.rooms = new Rooms(this)
    this.stream = new Stream(this.events.lastStreamId() ?? 0, this.clock)
    this.allWokenAt = this.stream.position
    this.typing = new Typing(this.clock, this.stopping.signal)
    this.profiles = new Profiles(this)
  }

  /** The room's id; undefined for an alias that nobody made. */
  roomIdOf(idOrAlias: string): string | undefined {
    return idOrAlias.startsWith('#') ? this.events.alias(idOrAlias)?.room_id : idOrAlias
  }

  userExists(userId: string): boolean {
    if (this.knownUsers.get(userId)) return true
    if (!this.users.profile(userId)) return false
    this.knownUsers.set(userId, true)
    return true
  }

  /** Position of the room's newest event. */
  lastPosition(room: number): number {
    const known = this.lastInRoom.get(room)
    if (known !== undefined) return known
    const found = this.events.lastOfRoom(room) ?? 0
    this.lastInRoom.set(room, found)
    return found
  }

  /**
   * Runs `work` in the next commit and, once it is on disk, wakes those waiting for its changes. A
   * MatrixError before the first write of `work` only rejects this call; later it also rolls back.
   */
  async commit<T>(work: (tx: Tx) => T): Promise<T> {
    const taken: Taken = new Set()
    let outcome: { tx: Tx; value: T } | undefined
    let refused: MatrixError | undefined
    let committed = false
    let hasRun = false
    try {
      await this.committer.write(() => {
        const tx = new Tx(this, taken)
        const writesBefore = this.writesSoFar()
        // A rollback of the transaction makes all its works run again.
        if (hasRun) this.rooms.undo()
        hasRun = true
        outcome = undefined
        refused = undefined
        try {
          outcome = { tx, value: work(tx) }
        } catch (error) {
          if (!(error instanceof MatrixError) || this.writesSoFar() > writesBefore) {
            this.rooms.undo()
            throw error
          }
          refused = error
        }
        return null
      })
      committed = true
    } finally {
      if (taken.size > 0) this.rooms.settle(taken, committed)
    }
    if (refused) throw refused
    if (!outcome) throw new Error('the write did not run')
    this.announce(outcome.tx)
    return outcome.value
  }

  private announce(tx: Tx): void {
    if (tx.lastStreamId > 0) this.stream.advance(tx.lastStreamId)
    if (this.stream.position - this.allWokenAt >= WAKE_ALL_EVERY) {
      this.allWokenAt = this.stream.position
      for (const pusher of this.pushers.values()) pusher.nudge()
    }
    for (const { room, position, stateKey, interest } of tx.appended) {
      this.lastInRoom.set(room.num, Math.max(position, this.lastPosition(room.num)))
      if (interest !== null) this.nudge(interest)
      if (!this.stream.hasWaiters) continue
      this.wakeMembers(room.roomId)
      if (stateKey?.startsWith('@')) this.stream.wake(stateKey)
    }
    for (const userId of tx.wakes) this.stream.wake(userId)
    for (const roomId of tx.roomWakes) this.wakeRoom(roomId)
  }

  /** Wakes the room's members and appservices for something other than an event. */
  wakeRoom(roomId: string): void {
    const interest = this.rooms.read(roomId)?.interest
    if (interest) this.nudge(interest)
    this.wakeMembers(roomId)
  }

  private nudge(interest: string): void {
    for (const num of interest.split(',')) this.pushers.get(Number(num))?.nudge()
  }

  private wakeMembers(roomId: string): void {
    if (!this.stream.hasWaiters) return
    const room = this.rooms.read(roomId)
    if (!room) return
    for (const userId of this.stream.waitingUsers()) if (room.isJoined(userId)) this.stream.wake(userId)
  }
}
