/** Who is typing where, in memory only: after a restart nobody types. */
import type { Clock } from '../lib/clock.ts'

interface TypingRoom {
  serial: number
  users: Map<string, AbortController>
}

export class Typing {
  private readonly rooms = new Map<string, TypingRoom>()
  /** Starts at the clock, so that numbers of an earlier process are lower. */
  private counter: number

  constructor(
    private readonly clock: Clock,
    stopping: AbortSignal,
  ) {
    this.counter = clock.now()
    stopping.addEventListener('abort', () => this.stop(), { once: true })
  }

  private stop(): void {
    for (const room of this.rooms.values()) for (const typist of room.users.values()) typist.abort()
  }

  get position(): number {
    return this.counter
  }

  /** When the room's typing users last changed; 0 if never. */
  changedAt(roomId: string): number {
    return this.rooms.get(roomId)?.serial ?? 0
  }

  users(roomId: string): string[] {
    return [...(this.rooms.get(roomId)?.users.keys() ?? [])]
  }

  /** Rooms whose typing users changed after `since`. */
  changedRooms(since: number): string[] {
    return [...this.rooms].filter(([, room]) => room.serial > since).map(([roomId]) => roomId)
  }

  /** @returns true if that changed who types; `onExpiry` runs when the typing times out */
  set(roomId: string, userId: string, timeoutMs: number | undefined, onExpiry: () => void): boolean {
    const room = this.rooms.get(roomId) ?? { serial: 0, users: new Map<string, AbortController>() }
    const before = room.users.get(userId)
    before?.abort()
    if (timeoutMs === undefined) {
      if (!before) return false
      room.users.delete(userId)
    } else {
      const controller = new AbortController()
      this.rooms.set(roomId, room)
      room.users.set(userId, controller)
      void this.clock.sleep(timeoutMs, controller.signal).then(() => {
        if (controller.signal.aborted || room.users.get(userId) !== controller) return
        room.users.delete(userId)
        room.serial = ++this.counter
        onExpiry()
      })
      if (before) return false
    }
    room.serial = ++this.counter
    return true
  }
}
