/** A message's parts as Matrix events. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Message } from '../../../src/db/schema/index.ts'
import type { SendContent } from '../../../src/domain/views/message-content.ts'
import { messageEvent } from '../../../src/modules/sending/content/event.ts'
import { insertDevice, insertIdentity, insertMessage } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'

let db: TempDb
beforeEach(() => {
  db = tempDb()
  insertIdentity(db)
  insertDevice(db)
})
afterEach(() => db.destroy())

/** As it is read from its row. */
function stored(content: SendContent, change: Partial<Message> = {}): Message {
  insertMessage(db, { text: null, content, ...change })
  const [row] = db.orm.query.messages.findMany().sync()
  if (!row) throw new Error('no row')
  return row
}

describe('a location', () => {
  test.each([
    [{ latitude: 52.5, longitude: 13.4, name: 'Berlin' }, 'geo:52.5,13.4', 'Berlin'],
    [{ latitude: -0.1234567, longitude: -180 }, 'geo:-0.123457,-180', '-0.123457, -180'],
    // Without an exponent, which a geo URI can't have.
    [{ latitude: 1e-7, longitude: 90.0000001 }, 'geo:0,90', '0, 90'],
  ])('%j', (location, uri, body) => {
    expect(messageEvent(stored({ location }), undefined)).toEqual({
      type: 'm.room.message',
      content: { msgtype: 'm.location', geo_uri: uri, body },
    })
  })
})

test('a poll is an event of its own, with a text beside it, and may answer a message', () => {
  const poll = { question: 'When?', options: ['Mon', 'Tue'], max_selections: 2 }
  expect(messageEvent(stored({ poll }, { replyTo: '$q' }), undefined)).toEqual({
    type: 'org.matrix.msc3381.poll.start',
    content: {
      'org.matrix.msc3381.poll.start': {
        kind: 'org.matrix.msc3381.poll.disclosed',
        max_selections: 2,
        question: { 'org.matrix.msc1767.text': 'When?' },
        answers: [
          { id: '1', 'org.matrix.msc1767.text': 'Mon' },
          { id: '2', 'org.matrix.msc1767.text': 'Tue' },
        ],
      },
      'org.matrix.msc1767.text': 'When?\n1. Mon\n2. Tue',
      'm.relates_to': { 'm.in_reply_to': { event_id: '$q' } },
    },
  })
})

test('a poll allows one choice unless it says more', () => {
  const { content } = messageEvent(stored({ poll: { question: 'q', options: ['a', 'b'] } }), undefined)
  expect(content['org.matrix.msc3381.poll.start']).toMatchObject({ max_selections: 1 })
})
