/** docs/usage.md describes every event, and the contents of those about webhooks. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Webhook } from '../../../src/db/schema/index.ts'
import { EVENT_NAMES } from '../../../src/domain/states.ts'
import { disabledEvent, testEvent } from '../../../src/modules/webhooks/outcome-repository.ts'
import { examplesOf } from '../../support/usage-guide.ts'

const GUIDE = readFileSync(join(import.meta.dir, '..', '..', '..', 'docs', 'usage.md'), 'utf8')
const WEBHOOK = { identityId: 'id_1', id: 1, url: 'https://your-server.example.com/webhook' }
const FAILING_SINCE = Date.UTC(2026, 3, 27, 10)

test('the table of events has each of them, in order', () => {
  const described = [...GUIDE.matchAll(/^\| `((?:message|device|webhook)\.\w+)` +\|/gm)].map(
    ([, name]) => name,
  )
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
