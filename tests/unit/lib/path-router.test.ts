/** Routes by method and path. */
import { describe, expect, test } from 'bun:test'
import { MalformedPath, PathRouter } from '../../../src/lib/path-router.ts'

const router = new PathRouter<string>()
for (const [method, path] of [
  ['GET', '/rooms/:roomId/state'],
  ['GET', '/rooms/:roomId/state/:type'],
  ['GET', '/rooms/:roomId/state/:type/'],
  ['GET', '/rooms/:roomId/state/:type/:key'],
  ['PUT', '/rooms/:roomId/state/:type/:key'],
  ['GET', '/devices'],
  ['GET', '/devices/all'],
  ['GET', '/devices/:id'],
] as const)
  router.add(method, path, `${method} ${path}`)

describe('a path', () => {
  test('gives its parts, decoded', () => {
    expect(router.find('GET', '/rooms/!a%3Ab/state/m.x/%40c%2Fd')).toEqual({
      handler: 'GET /rooms/:roomId/state/:type/:key',
      params: { roomId: '!a:b', type: 'm.x', key: '@c/d' },
    })
  })

  test('goes by its literal parts before its variable ones', () => {
    expect(router.find('GET', '/devices/all')?.handler).toBe('GET /devices/all')
    expect(router.find('GET', '/devices/allies')?.params).toEqual({ id: 'allies' })
  })

  test('has an empty part only where a route says so', () => {
    expect(router.find('GET', '/rooms/!a/state/m.x/')?.params).toEqual({ roomId: '!a', type: 'm.x' })
    expect(router.find('PUT', '/rooms/!a/state/m.x/')).toBeUndefined()
    expect(router.find('GET', '/rooms//state')).toBeUndefined()
  })

  test('has the methods of its routes', () => {
    expect(router.find('POST', '/rooms/!a/state/m.x/k')).toBeUndefined()
    expect(router.methodsOf('/rooms/!a/state/m.x/k')).toEqual(['GET', 'PUT'])
    expect(router.methodsOf('/elsewhere')).toEqual([])
  })

  test('is refused when its encoding is broken', () => {
    expect(() => router.find('GET', '/devices/%E0%A4%A')).toThrow(MalformedPath)
  })
})
