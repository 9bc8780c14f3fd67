/** Rooms with a bot that a test scripts, and a clock without waits. */
import type { MatrixSession, RoomEvent } from '../../src/domain/ports.ts'
import type { Clock } from '../../src/lib/clock.ts'

export const BOT = '@testbot:s'

/** The bot's actions in the room where it received a text. */
export interface BotActs {
  /** @returns the event id */
  say(body: string): string
  show(content: Record<string, unknown>): string
  takeBack(eventId: string): void
}

export class ScriptedBot implements Partial<MatrixSession> {
  readonly userId = '@u:s'
  /** Texts sent to the bot. */
  readonly heard: { roomId: string; text: string }[] = []
  /** Our texts that were redacted. */
  readonly takenBack: string[] = []
  /** Files of its messages, by mxc:// URI. */
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>()
  private readonly rooms = new Map<string, RoomEvent[]>()
  private count = 0

  /** @param obey the bot's reaction to a text */
  constructor(private readonly obey: (text: string, acts: BotActs) => void) {}

  get session(): MatrixSession {
    return this as unknown as MatrixSession
  }

  acts(roomId: string): BotActs {
    return {
      say: body => this.add(roomId, BOT, { type: 'm.room.message', content: { msgtype: 'm.notice', body } }),
      show: content => this.add(roomId, BOT, { type: 'm.room.message', content }),
      takeBack: eventId =>
        void this.add(roomId, BOT, { type: 'm.room.redaction', redacts: eventId, content: {} }),
    }
  }

  async createDirectRoom(): Promise<string> {
    const roomId = `!${this.rooms.size + 1}:s`
    this.rooms.set(roomId, [])
    this.add(roomId, BOT, { type: 'm.room.member', state_key: BOT, content: { membership: 'join' } })
    this.acts(roomId).say('Hello, I am a bridge bot.')
    return roomId
  }

  async state(roomId: string): Promise<RoomEvent[]> {
    return this.rooms.get(roomId) ?? []
  }

  async send(roomId: string, type: string, content: Record<string, unknown>): Promise<string> {
    const text = String(content.body)
    const eventId = this.add(roomId, this.userId, { type, content })
    this.heard.push({ roomId, text })
    this.obey(text, this.acts(roomId))
    return eventId
  }

  async redact(roomId: string, eventId: string): Promise<string> {
    const event = this.rooms.get(roomId)?.find(candidate => candidate.event_id === eventId)
    this.takenBack.push(String(event?.content.body))
    return `${eventId}-taken-back`
  }

  async download(uri: string): Promise<Response> {
    const bytes = this.files.get(uri)
    if (!bytes) throw new Error(`there is no ${uri}`)
    return new Response(bytes)
  }

  async messagesBackwards(roomId: string) {
    return { events: (this.rooms.get(roomId) ?? []).toReversed(), next: null }
  }

  private add(
    roomId: string,
    sender: string,
    event: Pick<RoomEvent, 'type' | 'content'> & Partial<RoomEvent>,
  ) {
    const event_id = `$${++this.count}`
    const base = { event_id, room_id: roomId, sender, origin_server_ts: this.count }
    this.rooms.get(roomId)?.push({ ...base, ...event })
    return event_id
  }
}

/** A sleep moves the time on at once. */
export class HastyClock implements Clock {
  private time = 0

  now(): number {
    return this.time
  }

  steady(): number {
    return this.time
  }

  async sleep(ms: number): Promise<void> {
    this.time += ms
    // While `expect().rejects` waits, Bun runs immediates only when something else wakes its loop.
    await Bun.sleep(0)
  }
}
