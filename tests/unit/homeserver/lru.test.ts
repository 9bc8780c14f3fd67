/** The map that forgets what was used longest ago. */
import { describe, expect, test } from 'bun:test'
import { LruMap } from '../../../src/homeserver/lru.ts'

const filled = (...keys: string[]) => {
  const map = new LruMap<string, string>(3)
  for (const key of keys) map.set(key, key.toUpperCase())
  return map
}
const keysLeft = (map: LruMap<string, string>) => {
  const left: (string | undefined)[] = []
  while (map.size > 0) left.push(map.dropOldest())
  return left
}

describe('what was used longest ago', () => {
  test.each<[what: string, use: (map: LruMap<string, string>) => void, left: string[]]>([
    ['is what was set first', () => {}, ['A', 'B', 'C']],
    ['isn’t what was read since', map => map.get('a'), ['B', 'C', 'A']],
    ['isn’t what was set again', map => map.set('a', 'A2'), ['B', 'C', 'A2']],
    ['goes when there is too much', map => map.set('d', 'D'), ['B', 'C', 'D']],
    ['is the next one once it is deleted', map => map.delete('a'), ['B', 'C']],
    ['is nothing once all is cleared', map => map.clear(), []],
  ])('%s', (_, use, left) => {
    const map = filled('a', 'b', 'c')
    use(map)
    expect(keysLeft(map)).toEqual(left)
    expect(map.dropOldest()).toBeUndefined()
    map.set('e', 'E')
    expect(keysLeft(map)).toEqual(['E'])
  })

  test('is found however often everything was used anew', () => {
    const map = filled('a', 'b', 'c')
    for (let round = 0; round < 1_000; round++) {
      map.get('b')
      map.set(`k${round}`, String(round))
    }
    expect(keysLeft(map)).toEqual(['998', 'B', '999'])
  })
})
