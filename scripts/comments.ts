/**
 * Checks the form of comments: at most 100 columns, and none begins with Of, What or Whether, as
 * such comments name nobody who acts. Prints what is against it; exits 1 if anything is.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const MAX_COLUMNS = 100
const FOLDERS = ['src', 'tests', 'scripts', 'migrations']
const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** @returns `line: reason` for each comment of a TypeScript source that is against the form */
export function commentFaults(source: string): string[] {
  const file = ts.createSourceFile('', source, ts.ScriptTarget.Latest)
  const lines = source.split('\n')
  const faults: string[] = []
  /** The line of the last comment of the kind that goes on in the next line. */
  let lineBefore = -2
  for (const { pos, end, kind } of commentsOf(file)) {
    const first = file.getLineAndCharacterOfPosition(pos).line
    const last = file.getLineAndCharacterOfPosition(end).line
    const isOneLine = kind === ts.SyntaxKind.SingleLineCommentTrivia
    const goesOn = isOneLine && first === lineBefore + 1
    lineBefore = isOneLine ? first : -2
    const text = source.slice(pos, end)
    if (text.startsWith('// biome-ignore')) continue
    for (let line = first; line <= last; line += 1) {
      const { length } = lines[line] ?? ''
      if (length > MAX_COLUMNS) faults.push(`${line + 1}: ${length} columns, at most ${MAX_COLUMNS}`)
    }
    const word = /^[/*\s]*(Of|What|Whether)\b/.exec(text)?.[1]
    if (word && !goesOn) faults.push(`${first + 1}: begins with “${word}”`)
  }
  return faults
}

/** Comments stand before a token: between the end of the one before and its own start. */
function commentsOf(file: ts.SourceFile): ts.CommentRange[] {
  const found = new Map<number, ts.CommentRange>()
  const visit = (node: ts.Node) => {
    const ranges = [
      ...(ts.getLeadingCommentRanges(file.text, node.getFullStart()) ?? []),
      ...(ts.getTrailingCommentRanges(file.text, node.getEnd()) ?? []),
    ]
    if (!ts.isTemplateMiddle(node) && !ts.isTemplateTail(node)) {
      for (const range of ranges) found.set(range.pos, range)
    }
    for (const child of node.getChildren(file)) visit(child)
  }
  visit(file)
  return [...found.values()].sort((a, b) => a.pos - b.pos)
}

if (import.meta.main) {
  const files = FOLDERS.flatMap(folder => [...new Bun.Glob(`${folder}/**/*.ts`).scanSync(ROOT)])
  const faults = files.flatMap(path =>
    commentFaults(readFileSync(`${ROOT}${path}`, 'utf8')).map(fault => `${path}:${fault}`),
  )
  for (const fault of faults) console.log(fault)
  process.exit(faults.length === 0 ? 0 : 1)
}
