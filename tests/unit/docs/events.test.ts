/** docs/usage.md describes every event, and the contents of those about webhooks. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Webhook } from '../../../src/db/schema/index.ts'
import { EVENT_NAMES } from '../../../src/domain/states.ts'
import { messageContentOf } from '../../../src/matrix/translate/message.ts'
import { EarlierSaid } from '../../../src/modules/receiving/earlier-said.ts'
import { disabledEvent, testEvent } from '../../../src/modules/webhooks/outcome-repository.ts'
import { examplesOf } from '../../support/usage-guide.ts'

const GUIDE = readFileSync(join(import.meta.dir, '..', '..', '..', 'docs', 'usage.md'), 'utf8')
const WEBHOOK = { identityId: 'id_1', id: 1, url: 'https://your-server.example.com/webhook' }
const FAILING_SINCE = Date.UTC(2026, 3, 27, 10)

test('the table of events has each of them, in order', () => {
  const described = [
    ...GUIDE.matchAll(/^\| `((?:message|call|status|channel|poll|chat|device|webhook)\.\w+)` +\|/gm),
  ].map(([, name]) => name)
  expect(described).toEqual([...EVENT_NAMES])
})

test('what webhook.disabled says', () => {
  const printed = examplesOf(GUIDE).find(({ heading }) => heading === 'A webhook that was switched off')
  const webhook = { ...WEBHOOK, failingSince: FAILING_SINCE } as Webhook
  const { payload } = disabledEvent(
    webhook,
    'every try has failed for 5 days',
    FAILING_SINCE + 5 * 86_400_000,
  )
  expect(JSON.parse(printed?.code ?? '')).toEqual(payload)
})

test('what webhook.test says', () => {
  const fields = Object.keys(testEvent(WEBHOOK as Webhook, 0).payload).map(name => JSON.stringify(name))
  expect(GUIDE).toContain(`\`webhook.test\` event (\`{${fields.join(', ')}}\`)`)
})

test('what polls, votes and calls say', () => {
  const told = examplesOf(GUIDE)
    .filter(({ heading }) => heading === 'Polls, votes and calls')
    .map(({ code }) => JSON.parse(code))
  const [poll, vote, call] = told
  const about = { 'm.relates_to': { rel_type: 'm.reference', event_id: poll.id } }
  const answers = poll.poll.options.map(({ id, text }: Record<string, string>) => ({
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
    } as const
    return earlier.contentOf({ ...fact, content: translated })
  })
  const { id: _id, ...shown } = poll
  const { relates_to: relatesTo, ...votes } = vote
  expect(relatesTo).toBe(poll.id)
  expect(said).toMatchObject([shown, votes, call])
})
