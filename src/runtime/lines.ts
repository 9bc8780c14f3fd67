/** The lines of a program's output. */

/** A longer line is cut: a program's output must not fill our memory, nor our log. */
const MAX_LINE_LENGTH = 4_096
const CUT = '… (cut)'
// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what colours begin with
const COLOURS = /\u001b\[[\d;]*m/g

/** Without colours and empty lines. Holds one line at most in memory. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  let cut = false
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) {
      if (!cut) yield* shown(part)
      cut = false
    }
    if (rest.length <= MAX_LINE_LENGTH) continue
    if (!cut) yield* shown(rest)
    cut = true
    rest = ''
  }
  if (!cut) yield* shown(rest)
}

function* shown(line: string): Generator<string> {
  const text = line.replace(COLOURS, '').trimEnd()
  if (text === '') return
  yield text.length > MAX_LINE_LENGTH ? text.slice(0, MAX_LINE_LENGTH) + CUT : text
}
