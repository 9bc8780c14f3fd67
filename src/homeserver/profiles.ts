/**
 * Keeps profiles, and copies a changed one into the user's memberships of all rooms: in pieces, as
 * there may be very many. The database records the change until it is everywhere, so that a kill
 * leaves no room out.
 */
import type { Logger } from '../lib/logger.ts'
import { SingleFlight } from '../lib/single-flight.ts'
import { TurnBudget } from '../lib/turn-budget.ts'
import type { JsonObject } from './json.ts'
import type { Profile } from './store/users.ts'
import type { Tx, TxCore } from './tx.ts'

/** Most rooms changed in one write. */
const ROOMS_AT_ONCE = 50
const RETRY_MS = 1_000

/** A profile as JSON, as in the user's own memberships. */
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

  /** Resolves once the profile is stored and in the first rooms. An equal value changes nothing. */
  async change(userId: string, field: keyof Profile, value: string | null): Promise<void> {
    const { core } = this
    const hasChanged = await core.commit(() => {
      if (core.users.profile(userId)?.[field] === value) return false
      core.users.setProfile[field](value, userId)
      core.users.noteProfileChange(userId, 0)
      return true
    })
    if (!hasChanged) return
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
