/**
 * Echoes: phones answer by themselves, but not everything, so that a bot answering every message
 * isn't kept busy for ever.
 */
import type { Content, Message } from './types.ts'

const PREFIX = 'echo: '
/** An answer this soon may come from a program, in milliseconds. */
const SOON_MS = 10_000
/** Exchanges in a row with such quick answers that count as a conversation with a program. */
const MAX_EXCHANGES = 8
/** More than MAX_EXCHANGES needs, also in a group where a few phones echo. */
export const MESSAGES_LOOKED_AT = 40

export function echoOf(content: Content): Content {
  const { type, media, fileName, latitude, longitude } = content
  const text = content.text === '' ? '' : `${PREFIX}${content.text}`
  return { type, text, media, fileName, latitude, longitude }
}

/** Messages about another message get no answer, nor do polls and calls. */
export function isEchoed({ type }: Content): boolean {
  return !UNANSWERED.includes(type)
}

const UNANSWERED: readonly Content['type'][] = ['reaction', 'edit', 'delete', 'poll', 'vote', 'call']

interface Situation {
  /** Earlier messages in the chat, of the sender and the others, oldest first. */
  earlier: readonly Message[]
  quoted: Message | undefined
  /** True when the sender's device has the message; otherwise it can't be answering it. */
  isKnown(message: Message): boolean
}

/** True when a linked device's message answers an echo. */
export function answersEcho(message: Message, { earlier, quoted, isKnown }: Situation): boolean {
  const { sender, text, sentAt } = message
  if (text.startsWith(PREFIX)) return true
  if (quoted && quoted.sender !== sender && isEchoAmong(quoted, earlier)) return true
  const exchange = lastExchange(earlier, sender)
  if (!exchange) return false
  const { said, echoes } = exchange
  if (echoes.some(echo => echo.text !== '' && text.includes(echo.text))) return true
  if (!echoes.every(isKnown) || !isSoon(echoes, sentAt)) return false
  return (text !== '' && text === said.text) || exchangesBefore(earlier, sender) >= MAX_EXCHANGES
}

function isEchoAmong(quoted: Message, earlier: readonly Message[]): boolean {
  return quoted.text.startsWith(PREFIX) || earlier.some(said => isEchoOf(quoted, said))
}

interface Exchange {
  said: Message
  echoes: Message[]
  /** Messages before the exchange. */
  before: readonly Message[]
}

/**
 * @returns the sender's last message with its echoes; null when there are none, or another message
 * followed
 */
function lastExchange(messages: readonly Message[], sender: string): Exchange | null {
  const at = messages.findLastIndex(message => message.sender === sender)
  const said = messages[at]
  const echoes = messages.slice(at + 1)
  if (!said || echoes.length === 0 || !echoes.every(echo => isEchoOf(echo, said))) return null
  return { said, echoes, before: messages.slice(0, at) }
}

/** @returns the number of exchanges in a row in which the sender answered the last echo quickly */
function exchangesBefore(messages: readonly Message[], sender: string): number {
  let count = 0
  let exchange = lastExchange(messages, sender)
  while (exchange) {
    count++
    const earlier = lastExchange(exchange.before, sender)
    exchange = earlier && isSoon(earlier.echoes, exchange.said.sentAt) ? earlier : null
  }
  return count
}

function isSoon(echoes: readonly Message[], sentAt: number): boolean {
  return sentAt - (echoes.at(-1)?.sentAt ?? 0) < SOON_MS
}

function isEchoOf(echo: Message, said: Message): boolean {
  const expected = echoOf(said)
  return (
    echo.sender !== said.sender &&
    echo.type === expected.type &&
    echo.text === expected.text &&
    echo.media?.id === expected.media?.id
  )
}
