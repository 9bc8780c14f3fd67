/** docs/events.md describes every event, and its examples are payloads as the document has them. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Ajv from 'ajv'
import addFormats from 'ajv-formats'
import type { Webhook } from '../../../src/db/schema/index.ts'
import { EVENT_NAMES, LIVE_EVENT_NAMES } from '../../../src/domain/states.ts'
import { messageContentOf } from '../../../src/matrix/translate/message.ts'
import { EarlierSaid } from '../../../src/modules/receiving/earlier-said.ts'
import { disabledEvent, testEvent } from '../../../src/modules/webhooks/outcome-repository.ts'
import { PRINTED_EVENTS, printedEvent, wholeEvent } from '../../support/event-examples.ts'

const textOf = (name: string) => readFileSync(join(import.meta.dir, '..', '..', '..', name), 'utf8')
const EVENTS = textOf('docs/events.md')
const USAGE = textOf('docs/usage.md')
const DOCUMENT = JSON.parse(textOf('openapi.json'))
const NAMES: readonly string[] = [...EVENT_NAMES, ...LIVE_EVENT_NAMES]
const WEBHOOK = { identityId: 'id_1', id: 1, url: 'https://your-server.example.com/webhook' }
const FAILING_SINCE = Date.UTC(2026, 3, 27, 10)

/** The schema that names the event. */
function schemaOf(event: string): string {
  const schemas = Object.entries<Schema>(DOCUMENT.components.schemas)
  const own = schemas.find(
    ([name, { properties }]) => /\wEvent$/.test(name) && properties?.event?.enum?.includes(event),
  )
  return own?.[0] ?? ''
}

interface Schema {
  properties?: Record<string, { enum?: string[] }>
}

test('the table of events has each of them, in order', () => {
  const [, table = ''] = EVENTS.split(/^## /m)
  const described = [...table.matchAll(/^\| `(\w+\.\w+)` +\|/gm)].map(([, name]) => name)
  expect(described).toEqual([...NAMES])
})

test('each event has a heading, and an example of its own', () => {
  const headings = [...EVENTS.matchAll(/^### (.*)$/gm)].map(([, name = '']) => name)
  expect(headings.toSorted()).toEqual(NAMES.toSorted())
  for (const name of NAMES) expect([name, printedEvent(name).event]).toEqual([name, name])
})

test('each example is as its schema says, and has no other fields', () => {
  const ajv = addFormats(new Ajv({ strict: false }))
  ajv.addSchema(DOCUMENT, 'document')
  for (const { name, payload } of PRINTED_EVENTS) {
    const schema = schemaOf(name)
    const valid = ajv.compile({ $ref: `document#/components/schemas/${schema}` })
    const whole = wholeEvent(name, payload)
    expect([name, valid(whole), valid.errors]).toEqual([name, true, null])
    const known = Object.keys(DOCUMENT.components.schemas[schema].properties)
    expect(Object.keys(whole).filter(field => !known.includes(field))).toEqual([])
  }
})

test('the table of a message has each field', () => {
  const rows = [...EVENTS.matchAll(/^\| ((?:`[\w.]+`(?:, )?)+) +\|/gm)].map(([, fields = '']) => fields)
  const described = rows.flatMap(fields => [...fields.matchAll(/`([\w.]+)`/g)].map(([, field]) => field))
  expect(described).toEqual(
    expect.arrayContaining(Object.keys(DOCUMENT.components.schemas.ChatEvent.properties)),
  )
})

test('what webhook.disabled says', () => {
  const webhook = { ...WEBHOOK, failingSince: FAILING_SINCE } as Webhook
  const { payload } = disabledEvent(
    webhook,
    'every try has failed for 5 days',
    FAILING_SINCE + 5 * 86_400_000,
  )
  expect(printedEvent('webhook.disabled')).toEqual({ ...payload })
})

test('what webhook.test says', () => {
  const fields = Object.keys(testEvent(WEBHOOK as Webhook, 0).payload).map(name => JSON.stringify(name))
  expect(USAGE).toContain(`\`webhook.test\` event (\`{${fields.join(', ')}}\`)`)
})

test('what polls, votes and calls say', () => {
  const poll = PRINTED_EVENTS.find(({ payload }) => payload.kind === 'poll')
    ?.payload as unknown as PollExample
  const [vote, call] = [printedEvent('poll.vote'), printedEvent('call.received')]
  const about = { 'm.relates_to': { rel_type: 'm.reference', event_id: poll.id } }
  const answers = poll.poll.options.map(({ id, text }) => ({
    id,
    'org.matrix.msc1767.text': text,
  }))
  const start = { question: { 'org.matrix.msc1767.text': poll.message }, answers, max_selections: 1 }
  const action = { type: 'call', call_type: 'video' }
  const contents = [
    ['org.matrix.msc3381.poll.start', { 'org.matrix.msc3381.poll.start': start }],
    [
      'org.matrix.msc3381.poll.response',
      { ...about, 'org.matrix.msc3381.poll.response': { answers: ['b5e7aa'] } },
    ],
    ['m.room.message', { msgtype: 'm.notice', body: call.message, 'com.beeper.action_message': action }],
  ] as const
  const earlier = new EarlierSaid()
  const said = contents.map(([type, content], index) => {
    const event = { room_id: '!r:s', sender: '@a:s', origin_server_ts: 0, type, content }
    const event_id = index === 0 ? poll.id : `$${index}`
    const translated = messageContentOf({ ...event, event_id })
    if (!translated) throw new Error(`${type} is not understood`)
    const fact = {
      fact: 'message',
      eventId: event_id,
      roomId: '!r:s',
      sender: '@a:s',
      sentAt: 0,
      isHistory: false,
      isPuppeted: false,
    } as const
    return earlier.contentOf({ ...fact, content: translated })
  })
  const { id: _id, ...shown } = poll
  const { relates_to: relatesTo, ...votes } = vote
  expect(relatesTo).toBe(poll.id)
  expect(said).toMatchObject([{ ...shown, event: 'message.received' }, votes, call])
})

interface PollExample {
  id: string
  message: string
  poll: { options: { id: string; text: string }[] }
}
