/** Commands to a bridge's bot: a wrong command's answer could send a message to another group. */
import { expect, test } from 'bun:test'
import { commandLine, createBotCommands } from '../../../src/bridges/bot-commands.ts'
import type { MatrixSession, RoomEvent } from '../../../src/domain/ports.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'

const BOT = '@whatsappbot:s'

/** Rooms with a bot that answers by a test's function, or not at all. */
class FakeRooms implements Partial<MatrixSession> {
  readonly userId = '@u:s'
  readonly rooms = new Map<string, RoomEvent[]>()
  readonly commands: string[] = []
  private count = 0

  constructor(
    private readonly greeting: string | null,
    private readonly answer: (command: string) => string | null,
  ) {}

  say(roomId: string, sender: string, body: string): string {
    const event_id = `$${++this.count}`
    const event = {
      event_id,
      room_id: roomId,
      sender,
      type: 'm.room.message',
      origin_server_ts: this.count,
      content: { body },
    }
    this.rooms.get(roomId)?.unshift(event)
    return event_id
  }

  async createDirectRoom(): Promise<string> {
    const roomId = `!${this.rooms.size + 1}:s`
    this.rooms.set(roomId, [])
    // The bot greets a moment later.
    setImmediate(() => this.greeting && this.say(roomId, BOT, this.greeting))
    return roomId
  }

  async state(roomId: string): Promise<RoomEvent[]> {
    const content = { membership: 'join' }
    return [
      {
        event_id: '$j',
        room_id: roomId,
        sender: BOT,
        type: 'm.room.member',
        state_key: BOT,
        origin_server_ts: 0,
        content,
      },
    ]
  }

  async send(roomId: string, _type: string, content: Record<string, unknown>): Promise<string> {
    const command = String(content.body)
    this.commands.push(command)
    const eventId = this.say(roomId, this.userId, command)
    const answer = this.answer(command)
    if (answer !== null) setImmediate(() => this.say(roomId, BOT, answer))
    return eventId
  }

  async messagesBackwards(roomId: string) {
    return { events: [...(this.rooms.get(roomId) ?? [])], next: null }
  }
}

const session = (rooms: FakeRooms) => rooms as unknown as MatrixSession

test('the greeting is not the answer to the first command, nor that of one command the answer to the next', async () => {
  const rooms = new FakeRooms('Hello, I am the bridge bot.', command => `about ${command}`)
  const commands = createBotCommands('wa', systemClock)
  const answers = await Promise.all(
    ['one', 'two', 'three'].map(word => commands.run(session(rooms), BOT, '!wa', commandLine(word))),
  )
  expect(answers).toEqual(['about !wa one', 'about !wa two', 'about !wa three'])
  expect(rooms.rooms.size).toBe(1)
})

test('a bot that greets nobody and has no prefix', async () => {
  const clock = new ManualClock()
  const rooms = new FakeRooms(null, command => `about ${command}`)
  const answer = createBotCommands('wa', clock).run(session(rooms), BOT, null, commandLine('one'))
  await clock.advance(20_000)
  expect(await answer).toBe('about one')
})

test('after a command without an answer the next goes to a new room, so a late answer is not taken for its own', async () => {
  const clock = new ManualClock()
  const rooms = new FakeRooms('Hello!', command => (command.includes('slow') ? null : `about ${command}`))
  const commands = createBotCommands('wa', clock)
  const slow = commands.run(session(rooms), BOT, '!wa', commandLine('slow')).catch((error: unknown) => error)
  const next = commands.run(session(rooms), BOT, '!wa', commandLine('next'))
  await clock.advance(40_000)
  expect(await slow).toMatchObject({ code: 'bridge_timeout' })
  rooms.say('!1:s', BOT, 'about !wa slow')
  await clock.advance(10_000)
  await settled()
  expect(await next).toBe('about !wa next')
  expect(rooms.rooms.size).toBe(2)
})

test.each([
  'x loop #lobby',
  'x\nlogout',
  'x\tlogout',
  'x\u00a0y',
  'x\u2028y',
  'x\u200by',
  'x\u0000',
  ' x',
  '',
])('an argument is one word, and %j is none', word => {
  expect(commandLine('join', '237', 'irc://x')).toBe('join 237 irc://x' as ReturnType<typeof commandLine>)
  expect(() => commandLine('join', word)).toThrow('expected no white space or control characters')
})
