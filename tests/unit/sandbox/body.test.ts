/** Bodies sent to the sandbox by anybody: their memory is limited in total. */
import { expect, test } from 'bun:test'
import { readJson } from '../../../src/sandbox/api/body.ts'
import { waitFor } from '../../support/wait-for.ts'

/** A body whose end hasn't come. */
function unfinished(bytes: number) {
  let end: () => void = () => undefined
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new Uint8Array(bytes).fill(0x20))
      end = () => controller.close()
    },
  })
  return { request: new Request('http://localhost/', { method: 'POST', body }), end }
}

test('bodies that do not end are refused when there are too many of them, until others end', async () => {
  const bodies = Array.from({ length: 20 }, () => unfinished(1024 * 1024))
  const refused: unknown[] = []
  const read = bodies.map(({ request }) => readJson(request).catch(error => refused.push(error)))
  // The limit is 16 MiB in all.
  await waitFor(() => refused.length === 4, { what: 'those that do not fit' })
  expect(refused).toMatchObject(Array(4).fill({ code: 'unavailable', status: 503 }))
  for (const { end } of bodies.slice(0, 16)) end()
  await Promise.all(read)
  const after = unfinished(1024 * 1024)
  after.end()
  expect(await readJson(after.request)).toEqual({})
})

test('a body that is nested thousands of levels deep is refused by name', async () => {
  const deep = new Request('http://localhost/', { method: 'POST', body: '['.repeat(30_000) })
  await expect(readJson(deep)).rejects.toMatchObject({
    status: 400,
    message: 'body: expected at most 64 levels of lists and objects',
  })
})
