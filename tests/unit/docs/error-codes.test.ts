/** docs/errors.md lists each error code with its status. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { STATUS_OF } from '../../../src/http/error-answers.ts'

const ROOT = join(import.meta.dir, '..', '..', '..')
const textOf = (...path: string[]) => readFileSync(join(ROOT, ...path), 'utf8')

test('the table of error codes has each of them', () => {
  const described = [...textOf('docs/errors.md').matchAll(/^\| (\d{3}) +\| (`\w+`) +\|/gm)].flatMap(
    ([, status, codes = '']) => [...codes.matchAll(/\w+/g)].map(([code]) => `${code} ${status}`),
  )
  const answered = Object.entries(STATUS_OF).map(([code, status]) => `${code} ${status}`)
  expect(described.toSorted()).toEqual(answered.toSorted())
})
