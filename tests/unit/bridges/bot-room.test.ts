/** How a login reads the status of our own message to a bot. */
import { describe, expect, test } from 'bun:test'
import { failureOf } from '../../../src/bridges/bot-room.ts'

const BOT = '@bot:s'
const OURS = '$ours'

function status(
  content: object,
  { sender = BOT, about = OURS, type = 'com.beeper.message_send_status' } = {},
) {
  const relation = { 'm.relates_to': { rel_type: 'm.reference', event_id: about } }
  return {
    event_id: '$status',
    room_id: '!r:s',
    sender,
    type,
    origin_server_ts: 1,
    content: { ...relation, ...content },
  }
}
const FAILED = { status: 'FAIL_PERMANENT', message: 'no such step' }
const failure = (...of: Parameters<typeof status>) => failureOf(status(...of), BOT, OURS)

test.each([
  [FAILED, 'no such step'],
  [{ status: 'FAIL_RETRIABLE', internal_error: 'timed out' }, 'timed out'],
  [{ status: 'FAIL_RETRIABLE', reason: 'm.network_error' }, 'm.network_error'],
  [{ status: 'FAIL_PERMANENT' }, 'it failed'],
])('a bot that couldn’t do it says so by %j', (content, words) => {
  expect(failure(content)).toBe(words)
})

describe('says nothing of our message', () => {
  test.each([
    ['a success', status({ status: 'SUCCESS' })],
    ['a status that somebody else sends', status(FAILED, { sender: '@other:s' })],
    ['one of another message', status(FAILED, { about: '$other' })],
    ['another event', status(FAILED, { type: 'm.room.message' })],
  ])('%s', (_, event) => {
    expect(failureOf(event, BOT, OURS)).toBeNull()
  })
})
