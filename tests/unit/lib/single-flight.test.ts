/** Work under way is shared by everybody who asks for it meanwhile. */
import { expect, test } from 'bun:test'
import { SingleFlight } from '../../../src/lib/single-flight.ts'

test('work of a key is shared while it is under way, and begun anew afterwards', async () => {
  const flights = new SingleFlight<string>()
  const gates = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
  let begun = 0
  const work = () => gates[begun++]?.promise ?? Promise.resolve('other')
  const first = flights.run('a', work)
  expect(flights.run('a', work)).toBe(first)
  expect([flights.has('a'), flights.has('b'), flights.size]).toEqual([true, false, 1])
  gates[0]?.resolve('one')
  expect(await first).toBe('one')
  expect(flights.size).toBe(0)
  const second = flights.run('a', work)
  expect(await flights.run('b', work)).toBe('other')
  gates[1]?.resolve('two')
  expect(await second).toBe('two')
})

test('a failure is shared, too, and the next who asks begins anew', async () => {
  const flights = new SingleFlight<string>()
  const gate = Promise.withResolvers<string>()
  const both = [flights.run('a', () => gate.promise), flights.run('a', async () => 'never')]
  const ended = Promise.allSettled(both)
  const settled = flights.settled()
  gate.reject(new Error('no'))
  await settled
  expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(await flights.run('a', async () => 'again')).toBe('again')
})
