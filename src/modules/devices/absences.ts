/**
 * Decides when a login that its bridge no longer lists counts as gone. One answer without it is no
 * logout: a bridge that is restarting, or that failed to load its logins, answers so as well, and
 * everything about the device would be lost with it.
 */
import type { Device } from '../../db/schema/index.ts'
import type { Clock } from '../../lib/clock.ts'

/** A login is gone after so many answers without it, over at least this time in milliseconds. */
const ANSWERS = 3
const OVER_MS = 10_000

interface Absence {
  /** By the steady clock. */
  since: number
  answers: number
}

interface Notes {
  absent: Map<string, Absence>
  /** Login ids that the bridge said are logged out; null stands for any of the user's. */
  ended: Set<string | null>
}

export interface Absences {
  /**
   * The bridge has answered.
   * @param key of the identity and platform
   * @param unlisted linked devices whose logins aren't in the answer
   * @returns those that are gone: `told` where the bridge said so by itself, `missed` where it has
   * left them out for long enough. The others may be there again in the next answer.
   */
  gone(key: string, unlisted: readonly Device[]): { told: Device[]; missed: Device[] }
  /**
   * The bridge reported by itself that a login is logged out, or isn't.
   * @param loginId null: of any of the user's
   */
  noteState(key: string, loginId: string | null, isLoggedOut: boolean): void
  /** The bridge could not be asked: what it answered before may be of another run. */
  forget(key: string): void
}

export function createAbsences(clock: Clock): Absences {
  const all = new Map<string, Notes>()

  function notesOf(key: string): Notes {
    const known = all.get(key)
    if (known) return known
    const notes: Notes = { absent: new Map(), ended: new Set() }
    all.set(key, notes)
    return notes
  }

  function settle(key: string, { absent, ended }: Notes): void {
    if (absent.size === 0 && ended.size === 0) all.delete(key)
  }

  return {
    gone(key, unlisted) {
      if (unlisted.length === 0 && !all.has(key)) return { told: [], missed: [] }
      const notes = notesOf(key)
      const before = notes.absent
      notes.absent = new Map()
      const told = unlisted.filter(({ loginId }) => notes.ended.has(loginId) || notes.ended.has(null))
      // A report without a name was about these.
      for (const { loginId } of told) for (const id of [loginId, null]) notes.ended.delete(id)
      const now = clock.steady()
      const missed = unlisted.filter(device => {
        if (told.includes(device)) return false
        const { since, answers } = before.get(device.id) ?? { since: now, answers: 0 }
        // Kept until the device is no longer linked: storing that may fail.
        notes.absent.set(device.id, { since, answers: answers + 1 })
        return answers + 1 >= ANSWERS && now - since >= OVER_MS
      })
      settle(key, notes)
      return { told, missed }
    },

    noteState(key, loginId, isLoggedOut) {
      const notes = isLoggedOut ? notesOf(key) : all.get(key)
      if (!notes) return
      if (isLoggedOut) notes.ended.add(loginId)
      else if (loginId === null) notes.ended.clear()
      else for (const id of [loginId, null]) notes.ended.delete(id)
      settle(key, notes)
    },

    forget(key) {
      const notes = all.get(key)
      if (!notes) return
      notes.absent.clear()
      settle(key, notes)
    },
  }
}
