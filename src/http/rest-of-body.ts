/**
 * Reads the rest of a request's body before its answer. Bun reads and drops it, but not from a
 * client that wants the connection closed (nginx by default, many libraries): there the connection
 * breaks while the client is still writing, and it never sees why it was refused.
 */
import { type BodyReader, readerOf } from '../lib/body-reader.ts'
import { type Clock, within } from '../lib/clock.ts'

/** Methods of requests whose bodies are never read. */
export const BODILESS = new Set(['GET', 'HEAD', 'OPTIONS'])

/** A client that is still writing sends something within this. */
const PAUSE_MS = 2_000
/** How long a client may go on. */
const TOTAL_MS = 60_000

/** True if the client wants its connection closed after the answer. */
export function wantsClose({ headers }: Request): boolean {
  return /\bclose\b/i.test(headers.get('connection') ?? '')
}

/** Resolves when the client has sent all of it, has paused, or is gone. */
export async function readRest(request: Request, clock: Clock): Promise<void> {
  const reader = readerOf(request)
  if (!reader) return
  const until = clock.steady() + TOTAL_MS
  try {
    for (let isOver = false; !isOver && clock.steady() < until; ) isOver = await isOverOrPaused(reader, clock)
  } catch {
    // It broke off.
  }
}

async function isOverOrPaused(reader: BodyReader, clock: Clock): Promise<boolean> {
  const part = await within(clock, PAUSE_MS, reader.read())
  return part?.done ?? true
}
