/**
 * Bounds the memory of lists that nobody reads: a large answer counts for its holder until its
 * client has taken it. Small ones are left to the sockets. (Pages of events count as readers of the
 * feed instead.)
 */
import { GatewayError } from '../domain/errors.ts'
import { Tally } from '../lib/tally.ts'
import { TurnBudget } from '../lib/turn-budget.ts'
import { jsonResponse, PIECE_SIZE, pulled } from './json-body.ts'
import { noteRequest } from './request-notes.ts'

/**
 * A holder's answers under way may take as much together. The first one is written however large it
 * is.
 */
const MAX_BYTES_OF_HOLDER = 16 * 1024 * 1024
/** Once all take as much, only holders that have none under way get another one. */
const MAX_BYTES = 128 * 1024 * 1024
const RETRY_AFTER_S = 1
/** Entries that are written in one go. */
const PART = 100

/** Answers that are being written. */
export class LargeAnswers {
  private readonly held = new Tally()

  /**
   * @returns gives the memory back, when called once or several times
   * @throws GatewayError too_many_requests
   */
  hold(holder: string, bytes: number): () => void {
    const own = this.held.of(holder)
    const isTooMuch = own + bytes > MAX_BYTES_OF_HOLDER || this.held.total + bytes > MAX_BYTES
    if (own > 0 && isTooMuch) throw tooManyUnread()
    return this.held.hold(holder, bytes)
  }
}

const counting = new WeakMap<Request, LargeAnswers>()

/** Has the request's answer, should it be large, count among those. */
export function countAnswer(request: Request, answers: LargeAnswers): void {
  counting.set(request, answers)
}

/**
 * Answers with a list that may be large. Others have their turn while it is written.
 * @param holder whose it is: an identity's id, or a credential's
 * @param list an array, what gives one in parts, or a page of one
 * @throws GatewayError too_many_requests when too much of what they asked for isn't read yet
 */
export async function listResponse(
  request: Request,
  holder: string,
  list: object | AsyncIterable<readonly unknown[]>,
): Promise<Response> {
  const text = await textOf(list)
  const answers = counting.get(request)
  // Nobody takes anything of an answer to HEAD, so nothing would end it.
  if (text.length <= PIECE_SIZE || !answers || request.method === 'HEAD') return jsonResponse(text)
  const bytes = Buffer.from(text)
  const done = held(request, answers, holder, bytes.length)
  request.signal.addEventListener('abort', done, { once: true })
  if (request.signal.aborted) done()
  return jsonResponse(pulled(slices(bytes), done))
}

async function textOf(list: object | AsyncIterable<readonly unknown[]>): Promise<string> {
  if (!Array.isArray(list) && !(Symbol.asyncIterator in list)) return JSON.stringify(list)
  const turn = new TurnBudget()
  const texts: string[] = []
  for await (const part of Array.isArray(list) ? partsOf(list) : list) {
    for (const entry of part) texts.push(JSON.stringify(entry))
    await turn.pause()
  }
  return `[${texts.join(',')}]`
}

function* partsOf(list: readonly unknown[]): Generator<readonly unknown[], void> {
  for (let start = 0; start < list.length; start += PART) yield list.slice(start, start + PART)
}

function held(request: Request, answers: LargeAnswers, holder: string, bytes: number): () => void {
  try {
    return answers.hold(holder, bytes)
  } catch (error) {
    noteRequest(request, { refusal: 'share_of_memory' })
    throw error
  }
}

/** Copies, as what is handed over may be taken for good. */
function* slices(bytes: Uint8Array): Generator<Uint8Array, void> {
  for (let start = 0; start < bytes.length; start += PIECE_SIZE) yield bytes.slice(start, start + PIECE_SIZE)
}

function tooManyUnread(): GatewayError {
  const message = 'Too many large answers of this identity are not read yet'
  return new GatewayError('too_many_requests', message, RETRY_AFTER_S)
}
