/** docs/usage.md tells of each error code, with its status. */
import { expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..', '..', '..')
const textOf = (...path: string[]) => readFileSync(join(ROOT, ...path), 'utf8')

test('the table of error codes has each of them', () => {
  const described = [
    ...textOf('docs/usage.md').matchAll(/^\| (\d{3}) +\| ((?:`\w+`(?:, )?)+) +\|/gm),
  ].flatMap(([, status, codes = '']) => [...codes.matchAll(/\w+/g)].map(([code]) => `${code} ${status}`))
  expect(described.toSorted()).toEqual([...new Set(answered())].toSorted())
})

/** Those of failures that use cases know, and those that only HTTP does. */
function answered(): string[] {
  const shared = [...textOf('src/http/errors.ts').matchAll(/^ {2}(\w+): (\d{3}),$/gm)]
  const sources = readdirSync(join(ROOT, 'src/http'), { recursive: true })
    .filter(name => String(name).endsWith('.ts'))
    .map(name => textOf('src/http', String(name)))
  const further = sources.flatMap(text => [...text.matchAll(/new HttpError\(\s*(\d{3}),\s*'(\w+)'/g)])
  return [
    ...shared.map(([, code, status]) => `${code} ${status}`),
    ...further.map(([, status, code]) => `${code} ${status}`),
  ]
}
