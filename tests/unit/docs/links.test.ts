/** Links in the documents lead to files and headings that exist; so do the files they name. */
import { describe, expect, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

const ROOT = join(import.meta.dir, '..', '..', '..')
const inRoot = (folder: string) =>
  readdirSync(join(ROOT, folder))
    .filter(name => name.endsWith('.md'))
    .map(name => join(folder, name))
const DOCUMENTS = [...inRoot('.'), ...inRoot('docs'), ...inRoot('docs/decisions')]
/** Where documents may leave the beginning of a path out. */
const SHORTENED = ['', 'src', 'src/modules', 'src/http']

test('all documents are looked at', () => {
  const expected = ['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CONTRIBUTING.md', 'docs/usage.md']
  expect(DOCUMENTS).toEqual(expect.arrayContaining(expected))
})

test('a file that is missing, a heading that is, and a way out of the repository are found', () => {
  const broken = ['nothing.md', 'usage.md#nothing', '#nothing', '../../shared/guide.txt']
  const fine = ['usage.md#list-tokens', '../README.md', 'https://example.com/nothing.md']
  const text = [...broken, ...fine].map(link => `[words](${link}) \`[code](nowhere)\``).join('\n')
  expect(brokenLinksOf('docs/usage.md', text)).toEqual(broken)
})

test('a source that is missing is found', () => {
  const text =
    '`lib/clock.ts`, `tests/unit/docs/links.test.ts`, `routes.ts`, `lib/nothing.ts` and `{a,b}/c.ts`'
  expect(missingSourcesOf(text)).toEqual(['lib/nothing.ts'])
})

describe.each(DOCUMENTS)('%s', document => {
  test('leads to files and headings that are there', () => {
    expect(brokenLinksOf(document, textOf(document))).toEqual([])
  })

  test('names sources that are there', () => {
    expect(missingSourcesOf(textOf(document))).toEqual([])
  })
})

function brokenLinksOf(document: string, text: string): string[] {
  const links = [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
  return links.filter(link => {
    if (/^[a-z]+:/.test(link)) return false
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? document : relative(ROOT, join(ROOT, dirname(document), path))
    // A link out of the repository doesn't work in a clone.
    if (target.startsWith('..') || !existsSync(join(ROOT, target))) return true
    return anchor !== undefined && target.endsWith('.md') && !anchorsOf(target).includes(anchor)
  })
}

function missingSourcesOf(text: string): string[] {
  const named = [...text.matchAll(/`([\w.-]+\/[\w./-]+\.ts)`/g)].map(([, path = '']) => path)
  return named.filter(path => !SHORTENED.some(folder => existsSync(join(ROOT, folder, path))))
}

/** Anchors as GitHub makes them from headings. */
function anchorsOf(document: string): string[] {
  return [...prose(textOf(document)).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function textOf(document: string): string {
  return readFileSync(join(ROOT, document), 'utf8')
}

/** Removes code. */
function prose(text: string): string {
  return text
    .replace(/^```.*?^```/gms, '')
    .replace(/`[^`\n]*`/g, match => match.slice(1, -1).replace(/[()[\]]/g, ''))
}
