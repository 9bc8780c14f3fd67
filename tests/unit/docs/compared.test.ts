/** docs/compared.md names only calls, fields and events that there are. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const textOf = (name: string) => readFileSync(join(import.meta.dir, '..', '..', '..', name), 'utf8')
const { paths } = JSON.parse(textOf('openapi.json')) as { paths: Record<string, object> }
const CALL = /`((?:GET|POST|PUT|PATCH|DELETE) \/[^`]*)`/g

/** Cells of the right columns. */
const OURS = textOf('docs/compared.md')
  .split('\n')
  .map(line => /^\| (.+?) +\| (.+?) +\|$/.exec(line)?.[2] ?? '')
  .filter(cell => cell !== '' && !cell.startsWith('-'))

/** The names of parameters make no difference. */
const nameless = (call: string) => call.replace(/\{\w+\}/g, '{}')

test('each of our calls is in the document', () => {
  const there = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => nameless(`${method.toUpperCase()} ${path.replace('/api/v1', '')}`)),
  )
  const named = OURS.flatMap(cell => [...cell.matchAll(CALL)].map(([, call = '']) => call))
  expect(named.length).toBeGreaterThan(100)
  expect([...new Set(named.filter(call => !there.includes(nameless(call))))]).toEqual([])
})

test('a call that is not offered has a reason', () => {
  for (const cell of OURS) if (cell.startsWith('not offered')) expect(cell).toMatch(/^not offered.*[:;] \w+/)
})
