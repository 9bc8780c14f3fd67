/** The check of comments finds what it is for, and takes nothing else for a comment. */
import { expect, test } from 'bun:test'
import { commentFaults } from '../../../scripts/comments.ts'

test('comments that are too long or name nobody who acts are found, with their lines', () => {
  const long = 'x'.repeat(100)
  const source = [
    `// ${long}`,
    '/** What it is. */',
    'const a = 1',
    '/**',
    ' * Of something.',
    ` * ${long}`,
    ' */',
    'const b = 2 // Whether it is',
    `f(\`\${a} // ${long}\`)`,
  ].join('\n')
  expect(commentFaults(source)).toEqual([
    '1: 103 columns, at most 100',
    '2: begins with “What”',
    '6: 103 columns, at most 100',
    '4: begins with “Of”',
    '8: begins with “Whether”',
  ])
})

test('strings, long code, words within a comment and directives are none', () => {
  const source = [
    `const url = 'https://example.com/${'x'.repeat(90)}'`,
    '// The sum, and',
    '// What is left of it.',
    `// biome-ignore lint/style/noNonNullAssertion: ${'x'.repeat(90)}`,
    'const text = `// What`',
    '/* Offset */ const offset = 1',
  ].join('\n')
  expect(commentFaults(source)).toEqual([])
})
