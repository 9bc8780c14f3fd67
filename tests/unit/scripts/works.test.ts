/** Works that await something else than their transaction are found where they stand. */
import { expect, test } from 'bun:test'
import { foreignAwaits } from '../../../scripts/works.ts'

test.each([
  ['its statements', 'db.write(async tx => { await tx.run(query); return await tx.get(other) })'],
  ['functions given it', 'async function store(tx: Tx) { for (const row of rows) await put(tx, row) }'],
  ['several at once', 'db.write(async tx => { await Promise.all(rows.map(row => tx.run(put, row))) })'],
  ['what is outside of it', 'async () => { await fetch(url); await db.write(tx => tx.run(query)) }'],
])('a work may await %s', (_, source) => {
  expect(foreignAwaits(source)).toEqual([])
})

test.each([
  ['another part', 'db.write(async tx => {\n  await tx.run(query)\n  await session.send(text)\n})', 3],
  ['a timer, in a function given it', 'const store = async (tx: Tx) => {\n  await clock.sleep(1)\n}', 2],
  ['a stream', 'db.write(async tx => {\n  for await (const row of rows) await tx.run(put, row)\n})', 2],
  [
    'something in a function within',
    'db.write(async tx => {\n  const one = async () => await fetch(url)\n  await one(tx)\n})',
    2,
  ],
])('a work that awaits %s is found', (_, source, line) => {
  expect(foreignAwaits(source)).toEqual([expect.stringMatching(new RegExp(`^${line}: `))])
})
