/** Examples of a usage guide in Markdown, and commands of one without its code fences. */

export interface Example {
  /** Nearest heading above the example. */
  heading: string
  /** bash, json or js. */
  language: string
  code: string
}

/** @returns the examples in the guide's order */
export function examplesOf(markdown: string): Example[] {
  const examples: Example[] = []
  let heading = ''
  let open: Example | undefined
  for (const line of markdown.split('\n')) {
    const fence = /^```(\w*)$/.exec(line)
    if (fence && open) {
      examples.push({ ...open, code: open.code.replace(/\n$/, '') })
      open = undefined
    } else if (fence) {
      open = { heading, language: fence[1] ?? '', code: '' }
    } else if (open) {
      open.code += `${line}\n`
    } else if (/^#+ /.test(line)) {
      heading = line.replace(/^#+ /, '')
    }
  }
  return examples
}

/** @returns whole commands, including lines continued by a backslash or inside quotes */
export function commandsOf(text: string): string[] {
  const commands: string[] = []
  let open: string | undefined
  for (const line of text.split('\n')) {
    if (open === undefined && !/^(curl|websocat) /.test(line)) continue
    open = open === undefined ? line : `${open}\n${line}`
    const isQuoted = (open.match(/'/g)?.length ?? 0) % 2 === 1
    if (isQuoted || line.endsWith('\\')) continue
    commands.push(open)
    open = undefined
  }
  return commands
}
