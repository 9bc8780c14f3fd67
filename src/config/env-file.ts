/** `.env` as shells and compose read it. */
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { decodeText } from '../lib/charset.ts'
import { ConfigError } from './config-error.ts'
import type { EnvSource } from './process-environment.ts'

/** A setting up to its value, and the value with what is behind it on the line. */
const SETTING = /^([ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=[ \t]*)(\S[^\r\n]*?)[ \t]*$/gm
/**
 * A line that looks like a setting and is none: behind blanks and marks that a web page brought along, in
 * quotes, as YAML, or as other shells write it.
 */
const NEARLY_A_SETTING =
  /^[^\w#\n]*(?:(?:setenv|setx|set|declare -x|export)[ \t]+|env:)?["']?([A-Z][A-Z0-9_]+)["']?[^\S\n]*[:= ]/gimu
const QUOTES = [`'`, '"', '`']

/**
 * @param isOurs which names are settings of ours: what others have in the file is theirs
 * @throws ConfigError naming what can be read in two ways
 */
export function readEnvFile(file: string, isOurs: (name: string) => boolean): EnvSource {
  const opened = new Map<string, string>()
  const text = textOf(file)
  const values: EnvSource = parseEnv(
    text.replace(SETTING, (line, head: string, name: string, value: string) => {
      const quote = QUOTES.find(mark => value.startsWith(mark))
      if (quote === undefined) return value.includes('#') ? head + withHash(name, value, head) : line
      const end = value.indexOf(quote, 1)
      if (end === -1) opened.set(name, quote)
      else if (isOurs(name)) refuseBehindQuote(name, value.slice(end + 1))
      return line
    }),
  )
  for (const [, name = ''] of text.matchAll(NEARLY_A_SETTING)) {
    if (isOurs(name) && values[name] === undefined)
      throw new ConfigError(`${name}: expected a line that begins with ${name}=`)
  }
  for (const [name, quote] of opened) {
    if (isOurs(name) && values[name]?.startsWith(quote))
      throw new ConfigError(`${name}: begins with a ${quote} that nothing closes`)
  }
  return values
}

/** Without the marks of other systems: a byte order mark, and their line ends. */
function textOf(file: string): string {
  try {
    return decodeText(readFileSync(file)).replace(/\r\n?/g, '\n')
  } catch (error) {
    throw new ConfigError(`.env: ${file} can't be read: ${error instanceof Error ? error.message : error}`)
  }
}

/** `#` begins a comment behind a blank alone; Node's parser would cut a secret at any. */
function withHash(name: string, value: string, head: string): string {
  const kept = /\s$/.test(head) && value.startsWith('#') ? '' : value.replace(/[ \t]+#.*$/, '')
  const quote = QUOTES.find(mark => !kept.includes(mark))
  if (quote === undefined)
    throw new ConfigError(`${name}: has # and every kind of quotes: put it in the environment`)
  return kept.includes('#') ? quote + kept + quote : kept
}

function refuseBehindQuote(name: string, behind: string): void {
  if (/^([ \t]+#.*|[ \t]*)$/.test(behind)) return
  throw new ConfigError(`${name}: has text behind its closing quote; quote all of it, or nothing`)
}
