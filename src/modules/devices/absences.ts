/**
 * Decides when a login that its bridge no longer lists counts as gone. One answer without it is no
 * logout: a bridge that restarts, or failed to load its logins, answers so as well, and everything
 * about the device would be lost.
 */
import type { Device } from '../../db/schema/index.ts'
import type { Clock } from '../../lib/clock.ts'

/** A login is gone after so many answers without it, over at least this time in milliseconds. */
const ANSWERS = 3
const OVER_MS = 10_000

interface Notes {
  /** By devices' row ids; `since` by the steady clock. */
  absent: Map<string, { since: number; answers: number }>
  /** Login ids that the bridge said are logged out; null stands for any of the user's. */
  ended: Set<string | null>
}

/** Keys name an identity and a platform. */
export class Absences {
  private readonly all = new Map<string, Notes>()

  constructor(private readonly clock: Clock) {}

  /**
   * The bridge has answered.
   * @param unlisted linked devices whose logins aren't in the answer
   * @returns those that are gone: `reported` where the bridge said so by itself, `missed` where it
   * has left them out for long enough. The others may be there again in the next answer.
   */
  gone(key: string, unlisted: readonly Device[]): { reported: Device[]; missed: Device[] } {
    if (unlisted.length === 0 && !this.all.has(key)) return { reported: [], missed: [] }
    const notes = this.notesOf(key)
    const before = notes.absent
    notes.absent = new Map()
    const reported = unlisted.filter(({ loginId }) => notes.ended.has(loginId) || notes.ended.has(null))
    // A report without a name was about these.
    for (const { loginId } of reported) for (const id of [loginId, null]) notes.ended.delete(id)
    const now = this.clock.steady()
    const missed = unlisted.filter(device => {
      if (reported.includes(device)) return false
      const { since, answers } = before.get(device.id) ?? { since: now, answers: 0 }
      // Kept until the device is no longer linked: storing that may fail.
      notes.absent.set(device.id, { since, answers: answers + 1 })
      return answers + 1 >= ANSWERS && now - since >= OVER_MS
    })
    this.settle(key, notes)
    return { reported, missed }
  }

  /**
   * The bridge reported by itself that a login is logged out, or isn't.
   * @param loginId null: any of the user's
   */
  noteState(key: string, loginId: string | null, isLoggedOut: boolean): void {
    const notes = isLoggedOut ? this.notesOf(key) : this.all.get(key)
    if (!notes) return
    if (isLoggedOut) notes.ended.add(loginId)
    else if (loginId === null) notes.ended.clear()
    else for (const id of [loginId, null]) notes.ended.delete(id)
    this.settle(key, notes)
  }

  /** The bridge could not be asked: its earlier answers may be of another run. */
  forget(key: string): void {
    const notes = this.all.get(key)
    if (!notes) return
    notes.absent.clear()
    this.settle(key, notes)
  }

  private notesOf(key: string): Notes {
    const notes = this.all.get(key) ?? { absent: new Map(), ended: new Set() }
    this.all.set(key, notes)
    return notes
  }

  private settle(key: string, { absent, ended }: Notes): void {
    if (absent.size === 0 && ended.size === 0) this.all.delete(key)
  }
}
