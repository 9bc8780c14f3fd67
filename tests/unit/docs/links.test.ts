/** Every link of the documents leads to a file that is there, and to a heading that is in it. */
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
    // A link out of the repository leads nowhere for whoever has only that.
    if (target.startsWith('..') || !existsSync(join(ROOT, target))) return true
    return anchor !== undefined && target.endsWith('.md') && !anchorsOf(target).includes(anchor)
  })
}

/** As GitHub makes them of headings. */
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

/** Without what stands in code. */
function prose(text: string): string {
  return text
    .replace(/^```.*?^```/gms, '')
    .replace(/`[^`\n]*`/g, match => match.slice(1, -1).replace(/[()[\]]/g, ''))
}
