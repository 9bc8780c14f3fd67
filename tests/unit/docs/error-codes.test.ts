/** docs/errors.md lists each error code with its status, docs/usage.md what chats may not take. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { STATUS_OF } from '../../../src/http/error-answers.ts'
import type { Unsupported } from '../../../src/modules/chats/capabilities.ts'

const ROOT = join(import.meta.dir, '..', '..', '..')
const textOf = (...path: string[]) => readFileSync(join(ROOT, ...path), 'utf8')

test('the table of error codes has each of them', () => {
  const described = [...textOf('docs/errors.md').matchAll(/^\| (\d{3}) +\| (`\w+`) +\|/gm)].flatMap(
    ([, status, codes = '']) => [...codes.matchAll(/\w+/g)].map(([code]) => `${code} ${status}`),
  )
  const answered = Object.entries(STATUS_OF).map(([code, status]) => `${code} ${status}`)
  expect(described.toSorted()).toEqual(answered.toSorted())
})

/** The compiler holds it against the features that there are. */
const FEATURES: Record<Unsupported['feature'], true> = {
  max_text_length: true,
  max_size: true,
  max_duration: true,
  max_width: true,
  max_height: true,
  mime_types: true,
  file: true,
  reply: true,
  mentions: true,
  location_message: true,
  poll: true,
  poll_max_options: true,
  poll_option_max_length: true,
  edit: true,
  edit_max_age: true,
  edit_max_count: true,
  delete: true,
  delete_max_age: true,
  reaction: true,
  allowed_reactions: true,
  'm.room.name': true,
  'm.room.topic': true,
  'm.room.avatar': true,
  'com.beeper.disappearing_timer': true,
  invite: true,
  kick: true,
  leave: true,
  block_user: true,
}

test('the table of what a chat may not take has each feature', () => {
  const [, section = ''] = textOf('docs/usage.md').split('\n## What a chat takes\n')
  const [table = ''] = section.split('\n## ')
  const rows = [...table.matchAll(/^\| (`[^|]+`) +\|/gm)].map(([, cell = '']) => cell)
  const described = rows.flatMap(cell => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name))
  expect(described.filter(name => name !== 'feature').toSorted()).toEqual(Object.keys(FEATURES).toSorted())
})
