/**
 * A direct chat with a bridge's bot, for commands. A bot makes a user's first such room their
 * management room; elsewhere it only obeys messages with its prefix, which its greeting tells.
 */
import { GatewayError } from '../domain/errors.ts'
import type { MatrixSession, RoomEvent } from '../domain/ports.ts'
import type { Clock } from '../lib/clock.ts'
import { timeOrderedId } from '../lib/tokens.ts'

export type BotRoom = Awaited<ReturnType<typeof openBotRoom>>

/** How long a bot may take to join the room, in milliseconds. */
const JOIN_PATIENCE_MS = 30_000
/** How long to wait for its greeting: briefly when there is nothing to learn from it. */
const GREETING_PATIENCE_MS = 2_000
const LEARNING_PATIENCE_MS = 10_000
/** First and longest pause between two looks, in milliseconds. */
const FIRST_LOOK_MS = 20
const LONGEST_LOOK_MS = 1_000

const GREETING = /^hello\b/i
const PAGE_EVENTS = 50
const MAX_PAGES = 5

/** Calls `look` at growing intervals until it has an answer or the patience is over. */
export async function untilDefined<T>(
  clock: Clock,
  patienceMs: number,
  look: () => Promise<T | undefined>,
  signal?: AbortSignal,
): Promise<T | undefined> {
  const deadline = clock.steady() + patienceMs
  let waitMs = FIRST_LOOK_MS
  while (clock.steady() < deadline && !signal?.aborted) {
    const found = await look()
    if (found !== undefined) return found
    await clock.sleep(waitMs, signal)
    waitMs = Math.min(waitMs * 2, LONGEST_LOOK_MS)
  }
  return undefined
}

/**
 * @param knownPrefix marks a command in any room, such as `!wa`; null: learned from the greeting
 * @param withinMs time limit for the bot, by default half a minute to join plus time to greet
 * @throws GatewayError bridge_timeout when the bot doesn't join
 */
export async function openBotRoom(
  { platform, clock }: { platform: string; clock: Clock },
  session: MatrixSession,
  bot: string,
  knownPrefix: string | null,
  withinMs = Number.POSITIVE_INFINITY,
) {
  const deadline = clock.steady() + withinMs
  const joinWithinMs = Math.min(JOIN_PATIENCE_MS, withinMs)
  const roomId = await session.createDirectRoom(bot)
  const joined = await untilDefined(clock, joinWithinMs, async () =>
    (await session.state(roomId)).find(event => isJoinOf(event, bot)),
  )
  if (joined === undefined) throw silent(platform, joinWithinMs)
  const patienceMs = knownPrefix === null ? LEARNING_PATIENCE_MS : GREETING_PATIENCE_MS
  const greeting = await untilDefined(clock, Math.min(patienceMs, deadline - clock.steady()), async () => {
    const { events } = await session.messagesBackwards(roomId, PAGE_EVENTS)
    return events.find(event => event.type === 'm.room.message' && event.sender === bot)
  })
  const prefix = knownPrefix ?? prefixIn(String(greeting?.content.body ?? ''))
  return {
    /** Sends a command, or input the bot asked for. @returns the event id */
    say: (text: string) =>
      session.send(
        roomId,
        'm.room.message',
        { msgtype: 'm.text', body: prefix === null ? text : `${prefix} ${text}` },
        timeOrderedId('cmd_'),
      ),
    /** Events after this one, oldest first. */
    after: (eventId: string) => eventsAfter(session, roomId, eventId),
    /** Redacts one of our messages. */
    redact: (eventId: string) => session.redact(roomId, eventId, `redact_${eventId}`),
  }
}

/** True for the bot's messages, except its greeting. */
export function isSaidBy(bot: string, event: RoomEvent): boolean {
  if (event.sender !== bot || event.type !== 'm.room.message') return false
  return !GREETING.test(String(event.content.body ?? ''))
}

/**
 * A bot that couldn't carry out what a message asks says so by the message's status.
 * @param eventId our message
 * @returns its words; null for any other event
 */
export function failureOf({ type, sender, content }: RoomEvent, bot: string, eventId: string): string | null {
  if (type !== 'com.beeper.message_send_status' || sender !== bot) return null
  const { event_id } = (content['m.relates_to'] ?? {}) as Record<string, unknown>
  if (event_id !== eventId || !String(content.status).startsWith('FAIL')) return null
  return String(content.message ?? content.internal_error ?? content.reason ?? 'it failed')
}

/** @param eventId null: of nothing */
export function isRedactionOf({ type, redacts, content }: RoomEvent, eventId: string | null): boolean {
  // Room versions before 11 have `redacts` beside the content, later ones inside.
  return type === 'm.room.redaction' && eventId !== null && (redacts ?? content.redacts) === eventId
}

/** @param patienceMs how long we waited; may be 0 when an earlier wait used it up */
export function silent(platform: string, patienceMs: number): GatewayError {
  const limit = patienceMs < 1_000 ? 'in time' : `within ${Math.ceil(patienceMs / 1000)} s`
  return new GatewayError('bridge_timeout', `the ${platform} bridge's bot didn't answer ${limit}`)
}

/** "Use `!wa help` for help."; in a management room it is "Use `help` for help". */
function prefixIn(greeting: string): string | null {
  return /[`"'](\S+) help[`"']/.exec(greeting)?.[1] ?? null
}

async function eventsAfter(session: MatrixSession, roomId: string, eventId: string): Promise<RoomEvent[]> {
  const newestFirst: RoomEvent[] = []
  let from: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const { events, next } = await session.messagesBackwards(roomId, PAGE_EVENTS, from)
    const at = events.findIndex(event => event.event_id === eventId)
    newestFirst.push(...(at === -1 ? events : events.slice(0, at)))
    if (at !== -1) return newestFirst.reverse()
    if (next === null) break
    from = next
  }
  return []
}

function isJoinOf(event: RoomEvent, userId: string): boolean {
  return event.type === 'm.room.member' && event.state_key === userId && event.content.membership === 'join'
}
