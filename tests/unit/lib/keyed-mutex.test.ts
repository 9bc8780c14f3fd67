/** One task at a time for each key; a task that hasn't begun is shared. */
import { expect, test } from 'bun:test'
import { KeyedMutex } from '../../../src/lib/keyed-mutex.ts'

/** Tasks that end when the test says so, and record their start. */
function recorded(log: string[]) {
  const gates = new Map<string, PromiseWithResolvers<void>>()
  return {
    work: (name: string) => async () => {
      log.push(name)
      const gate = Promise.withResolvers<void>()
      gates.set(name, gate)
      await gate.promise
    },
    end: async (name: string, error?: Error) => {
      if (error) gates.get(name)?.reject(error)
      else gates.get(name)?.resolve()
      await Bun.sleep(0)
    },
  }
}

test('work of a key begins when what was asked for before is over, even if it failed; other keys go on', async () => {
  const mutex = new KeyedMutex()
  const begun: string[] = []
  const { work, end } = recorded(begun)
  const first = mutex.run('a', work('1'))
  const second = mutex.run('a', work('2'))
  const other = mutex.run('b', work('3'))
  await Bun.sleep(0)
  expect(begun).toEqual(['1', '3'])
  const failed = first.catch(String)
  await end('1', new Error('no'))
  expect(begun).toEqual(['1', '3', '2'])
  await end('2')
  await end('3')
  expect(await failed).toBe('Error: no')
  await Promise.all([second, other])
})

test('joining shares what has not begun, and never what has', async () => {
  const mutex = new KeyedMutex()
  const begun: string[] = []
  const { work, end } = recorded(begun)
  const first = mutex.join('a', work('1'))
  await Bun.sleep(0)
  const second = mutex.join('a', work('2'))
  expect(mutex.join('a', work('never'))).toBe(second)
  await end('1')
  const third = mutex.join('a', work('3'))
  await end('2')
  await end('3')
  await Promise.all([first, second, third])
  expect(begun).toEqual(['1', '2', '3'])
})
