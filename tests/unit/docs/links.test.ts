/** Every link in the documents leads to an existing file and heading. */
import { describe, expect, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

const ROOT = join(import.meta.dir, '..', '..', '..')
const inRoot = (folder: string) =>
  readdirSync(join(ROOT, folder))
    .filter(name => name.endsWith('.md'))
    .map(name => join(folder, name))
const DOCUMENTS = [...inRoot('.'), ...inRoot('docs')]

test('all documents are looked at', () => {
  const expected = ['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CHANGELOG.md', 'docs/usage.md']
  expect(DOCUMENTS).toEqual(expect.arrayContaining(expected))
})

test('a file that is missing, a heading that is, and a way out of the repository are found', () => {
  const broken = ['nothing.md', 'usage.md#nothing', '#nothing', '../../shared/guide.txt']
  const fine = ['usage.md#list-tokens', '../README.md', 'https://example.com/nothing.md']
  const text = [...broken, ...fine].map(link => `[words](${link}) \`[code](nowhere)\``).join('\n')
  expect(brokenLinksOf('docs/usage.md', text)).toEqual(broken)
})

describe.each(DOCUMENTS)('%s', document => {
  test('leads to files and headings that are there', () => {
    expect(brokenLinksOf(document, textOf(document))).toEqual([])
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
