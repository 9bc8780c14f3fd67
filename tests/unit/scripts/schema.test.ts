/** docs/schema.sql is what the migrations make. */
import { expect, test } from 'bun:test'
import { printedSchema } from '../../../scripts/schema.ts'

test('docs/schema.sql is up to date (`make schema`)', async () => {
  expect(await Bun.file('docs/schema.sql').text()).toBe(printedSchema())
})
