/**
 * Keeps profiles, and copies a changed one into the user's memberships of all rooms: in pieces, as
 * there may be very many. The database records the change until it is everywhere, so that a kill
 * leaves no room out.
 */
import type { Logger } from '../lib/logger.ts'
import { SingleFlight } from '../lib/single-flight.ts'
import { TurnBudget } from '../lib/turn-budget.ts'
import { MatrixError, notFound } from './errors.ts'
import { type Json, type JsonObject, parseStored } from './json.ts'
import { MAX_PROFILE_BYTES } from './limits.ts'
import type { Profile } from './store/users.ts'
import type { Tx, TxCore } from './tx.ts'

/** Most rooms changed in one write. */
const ROOMS_AT_ONCE = 50
const RETRY_MS = 1_000

/** Fields to change; undefined removes one. */
export type ProfileChanges = Record<string, Json | undefined>

/** The whole profile as JSON. */
export const profileFields = (profile: Profile): JsonObject => ({
  ...parseStored(profile.fields ?? '{}'),
  ...profileContent(profile),
})

/** The part of a profile that is in the user's own memberships. */
export function profileContent(profile: Profile | undefined): JsonObject {
  const content: JsonObject = {}
  if (profile?.displayname != null) content.displayname = profile.displayname
  if (profile?.avatar_url != null) content.avatar_url = profile.avatar_url
  return content
}

/** The parts of Core that a change of a profile needs. */
interface ProfilesCore extends TxCore {
  readonly logger: Logger
  readonly stopping: AbortController
  commit<T>(work: (tx: Tx) => T): Promise<T>
}

export class Profiles {
  /** Users whose rooms are being updated. */
  private readonly spreading = new SingleFlight()

  constructor(private readonly core: ProfilesCore) {}

  /**
   * Resolves once the profile is stored and its name and avatar are in the first rooms. Equal
   * values change nothing.
   * @throws M_NOT_FOUND, M_PROFILE_TOO_LARGE
   */
  async change(userId: string, changes: ProfileChanges): Promise<void> {
    const { core } = this
    const isInRooms = await core.commit(() => {
      const before = core.users.profile(userId)
      if (!before) throw notFound('Unknown user')
      const after = changedProfile(before, changes)
      if (Bun.deepEquals(before, after)) return false
      core.users.setProfile({ ...after, user_id: userId })
      if (before.displayname === after.displayname && before.avatar_url === after.avatar_url) return false
      core.users.noteProfileChange(userId, 0)
      return true
    })
    if (!isInRooms) return
    const hasMore = await this.spreadOn(userId)
    if (hasMore) this.spread(userId)
  }

  /** Continues what an earlier process left unfinished. */
  start(): void {
    for (const userId of this.core.users.profileChanges()) this.spread(userId)
  }

  /** Resolves when all running work has stopped; the next start continues it. */
  async stop(): Promise<void> {
    await this.spreading.settled()
  }

  private spread(userId: string): void {
    void this.spreading.run(userId, () => this.spreadThrough(userId))
  }

  private async spreadThrough(userId: string): Promise<void> {
    const { signal } = this.core.stopping
    for (let hasMore = true; hasMore && !signal.aborted; ) {
      try {
        hasMore = await this.spreadOn(userId)
      } catch (error) {
        this.core.logger.error({ error, user: userId }, "a changed profile didn't get into the next rooms")
        await this.core.clock.sleep(RETRY_MS, signal)
      }
    }
  }

  /** Copies the profile into the next rooms. @returns true while there are more */
  private async spreadOn(userId: string): Promise<boolean> {
    const { core } = this
    const changedUpTo = core.users.profileChange(userId)
    if (changedUpTo === undefined) return false
    for (const { room_id: roomId } of core.events.joinedRooms(userId, changedUpTo, ROOMS_AT_ONCE))
      await core.rooms.prepare(roomId)
    return core.commit(tx => {
      const after = core.users.profileChange(userId)
      if (after === undefined) return false
      const rooms = core.events.joinedRooms(userId, after, ROOMS_AT_ONCE)
      const content = { membership: 'join', ...profileContent(core.users.profile(userId)) }
      const turn = new TurnBudget()
      for (const [index, { room, room_id: roomId }] of rooms.entries()) {
        tx.setState(tx.takeRoom(roomId), { type: 'm.room.member', sender: userId, stateKey: userId, content })
        const isLast = index === rooms.length - 1 && rooms.length < ROOMS_AT_ONCE
        if (isLast || (!turn.isSpent && index < rooms.length - 1)) continue
        core.users.noteProfileChange(userId, room)
        return true
      }
      core.users.profileIsEverywhere(userId)
      return false
    })
  }
}

function changedProfile(before: Profile, changes: ProfileChanges): Profile {
  const { displayname, avatar_url: avatar, ...rest } = { ...profileFields(before), ...changes }
  const fields = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
  const text = JSON.stringify(fields)
  const after = {
    displayname: typeof displayname === 'string' ? displayname : null,
    avatar_url: typeof avatar === 'string' ? avatar : null,
    fields: text === '{}' ? null : text,
  }
  if (Buffer.byteLength(JSON.stringify(profileContent(after))) + Buffer.byteLength(text) > MAX_PROFILE_BYTES)
    throw new MatrixError(400, 'M_PROFILE_TOO_LARGE', `A profile takes at most ${MAX_PROFILE_BYTES} bytes`)
  return after
}
