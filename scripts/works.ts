/**
 * Checks that a work given to `db.write` awaits nothing but its transaction (docs/decisions/0001):
 * in a function whose first parameter is `tx`, whatever is awaited has `tx` in it, as the object or
 * as an argument. A function that is given `tx` takes it first, and so is checked itself. Prints
 * what is against it; exits 1 if anything is.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** @returns `line: text` for each await of something else */
export function foreignAwaits(source: string): string[] {
  const file = ts.createSourceFile('work.ts', source, ts.ScriptTarget.Latest, true)
  const found: string[] = []

  function visit(node: ts.Node, isWork: boolean): void {
    const awaited = isWork ? awaitedBy(node) : undefined
    if (awaited && !mentionsTx(awaited)) {
      const { line } = file.getLineAndCharacterOfPosition(node.getStart())
      found.push(`${line + 1}: ${awaited.getText().split('\n')[0]}`)
    }
    node.forEachChild(child => visit(child, isWork || takesTx(child)))
  }

  visit(file, false)
  return found
}

function takesTx(node: ts.Node): boolean {
  return ts.isFunctionLike(node) && node.parameters[0]?.name.getText() === 'tx'
}

function awaitedBy(node: ts.Node): ts.Expression | undefined {
  if (ts.isAwaitExpression(node)) return node.expression
  return ts.isForOfStatement(node) && node.awaitModifier ? node.expression : undefined
}

function mentionsTx(node: ts.Node): boolean {
  return (ts.isIdentifier(node) && node.text === 'tx') || ts.forEachChild(node, mentionsTx) === true
}

if (import.meta.main) {
  const paths = [...new Bun.Glob('src/**/*.ts').scanSync(ROOT)].sort()
  const found = paths.flatMap(path =>
    foreignAwaits(readFileSync(`${ROOT}${path}`, 'utf8')).map(place => `${path}:${place}`),
  )
  for (const place of found) console.log(`${place}: a work awaits nothing but its transaction`)
  process.exit(found.length > 0 ? 1 : 0)
}
