/** Ids of the feed's events: stable, of one identity, and silent about other events. */
import { expect, test } from 'bun:test'
import { createCursors, createStoredCursors } from '../../../src/modules/events/cursor.ts'

const cursors = createCursors(Buffer.alloc(16, 7))

test('the same event has the same id, and leads back to its place', () => {
  for (const seq of [0, 1, 12_345, Number.MAX_SAFE_INTEGER]) {
    const id = cursors.encode('id_1', seq)
    expect(id).toMatch(/^[\w-]{22}$/)
    expect(cursors.encode('id_1', seq)).toBe(id)
    expect(cursors.decode('id_1', id)).toBe(seq)
  }
})

test('ids that follow each other have nothing in common', () => {
  const ids = Array.from({ length: 100 }, (_, seq) => cursors.encode('id_1', seq))
  expect(new Set(ids.map(id => id.slice(0, 4))).size).toBeGreaterThan(90)
})

test.each([
  ['another identity’s', cursors.encode('id_2', 5)],
  ['of another gateway', createCursors(Buffer.alloc(16, 8)).encode('id_1', 5)],
  ['a number', '5'],
  ['empty', ''],
  ['too long', `${cursors.encode('id_1', 5)}AAAA`],
  ['with something before it', `!${cursors.encode('id_1', 5)}`],
])('an id that is %s is none', (_, id) => {
  expect(cursors.decode('id_1', id)).toBeNull()
})

test('a key that is stored is used without writing anything: the disk may be full', async () => {
  const stored = new Map<string, string>()
  let isFull = false
  const store = {
    find: async (name: string) => stored.get(name) ?? null,
    insert: async (name: string, value: string) => {
      if (isFull) throw new Error('no space')
      stored.set(name, value)
    },
  }
  const id = (await createStoredCursors(store)()).encode('id_1', 5)
  isFull = true
  expect((await createStoredCursors(store)()).decode('id_1', id)).toBe(5)

  stored.clear()
  const later = createStoredCursors(store)
  await expect(later()).rejects.toThrow('no space')
  isFull = false
  await later()
  expect(stored.size).toBe(1)
})
