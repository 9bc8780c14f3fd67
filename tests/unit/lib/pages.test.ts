/** Many rows, a page at a time. */
import { expect, test } from 'bun:test'
import { pagesOf } from '../../../src/lib/pages.ts'
import { TurnBudget } from '../../../src/lib/turn-budget.ts'

async function read(rows: number[], size: number): Promise<{ pages: number[][]; reads: number }> {
  let reads = 0
  const source = {
    read(after: number, limit: number) {
      reads++
      return rows.filter(row => row > after).slice(0, limit)
    },
    placeOf: (row: number) => row,
    start: 0,
    size,
  }
  const pages = await Array.fromAsync(pagesOf(source, new TurnBudget()))
  return { pages, reads }
}

test('pages follow each other until one is not full', async () => {
  expect(await read([1, 2, 3, 4, 5], 2)).toEqual({ pages: [[1, 2], [3, 4], [5]], reads: 3 })
})

test('a full last page is followed by an empty one', async () => {
  expect(await read([1, 2], 2)).toEqual({ pages: [[1, 2], []], reads: 2 })
})

test('a reader who stops reads no further', async () => {
  let reads = 0
  const source = { read: () => [++reads], placeOf: (row: number) => row, start: 0, size: 1 }
  for await (const [row] of pagesOf(source, new TurnBudget())) if (row === 3) break
  expect(reads).toBe(3)
})
