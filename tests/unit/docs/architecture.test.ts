/** ARCHITECTURE.md names functions and folders that there are. */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..', '..', '..')
const PAGE = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8')

test('the functions of both ways are in the code', () => {
  const ways = [...PAGE.matchAll(/^(?:A text to a known contact|From the push)[\s\S]*?\.$(?=\n\n)/gm)]
  const names = ways
    .flatMap(([way]) => [...way.matchAll(/\b(?:\w+\.)?([a-z]+[A-Z]\w+)/g)])
    .map(([, name]) => name)
  expect(names.length).toBeGreaterThan(20)
  const code = new Bun.Glob('src/**/*.ts').scanSync(ROOT)
  const words = new Set([...code].flatMap(path => readFileSync(join(ROOT, path), 'utf8').match(/\w+/g) ?? []))
  expect(names.filter(name => !words.has(name ?? ''))).toEqual([])
})

test('the folders and doors of its tables are there', () => {
  const [, rooms = ''] = PAGE.split('| door of the room')
  const folders = [...PAGE.matchAll(/`((?:src|tests|migrations)[\w/.-]*)`/g)].map(([, path = '']) => path)
  const doors = [...rooms.matchAll(/^\| `([\w/-]+\.ts)`/gm)].map(([, path]) => `src/modules/${path}`)
  expect(doors.length).toBeGreaterThan(10)
  expect([...folders, ...doors].filter(path => !existsSync(join(ROOT, path)))).toEqual([])
})
