/** docs/sandbox.md says what each network takes, as the features of its rooms do. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RoomFeatures, roomFeatures } from '../../../src/sandbox/bridge/room-features.ts'
import { SANDBOX_PLATFORMS } from '../../../src/sandbox/platforms.ts'

const GUIDE = readFileSync(join(import.meta.dir, '..', '..', '..', 'docs', 'sandbox.md'), 'utf8')
const HOUR_S = 3_600
const NUMBER = new Intl.NumberFormat('en-US')

/** @returns the row's cells, one for each platform */
function row(name: string): string[] {
  const line = GUIDE.split('\n').find(text => text.startsWith(`| ${name} `)) ?? ''
  return line
    .split('|')
    .slice(2, -1)
    .map(cell => cell.trim())
}

function age(seconds: number | undefined): string {
  if (seconds === undefined) return 'at any time'
  if (seconds < HOUR_S) return `${seconds / 60} minutes`
  return seconds > 24 * HOUR_S ? `${seconds / 24 / HOUR_S} days` : `${seconds / HOUR_S} hours`
}

const ROWS: [name: string, said: (features: RoomFeatures) => string][] = [
  ['text, caption', features => NUMBER.format(features.max_text_length)],
  ['edits', features => age(features.edit_max_age)],
  ['deletions', features => age(features.delete_max_age)],
  ['reactions', features => (features.allowed_reactions ? 'a list' : 'any')],
  ['polls', ({ poll = 0, poll_max_options }) => (poll > 0 ? `${poll_max_options} options` : 'none')],
  ["a group's topic", ({ state }) => ('m.room.topic' in state ? 'yes' : 'no')],
]

test.each(ROWS)('of %s', (name, said) => {
  const group = { members: [] } as never
  const features = SANDBOX_PLATFORMS.map(platform => roomFeatures(platform, { group }))
  const cells = row(name)
  expect(cells).toHaveLength(features.length)
  for (const [index, one] of features.entries()) expect(cells[index]).toStartWith(said(one))
})
