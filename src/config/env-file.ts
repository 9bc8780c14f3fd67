/** Reads `.env` as shells and compose do. */
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { decodeText } from '../lib/charset.ts'
import { ConfigError } from './config-error.ts'
import type { EnvSource } from './process-environment.ts'

/** A setting up to its value, then the value with the rest of the line. */
const SETTING = /^([ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=[ \t]*)(\S[^\r\n]*?)[ \t]*$/gm
/**
 * A line that looks like a setting but is none: after blanks or marks copied from a web page, in
 * quotes, as YAML, or in another shell's syntax.
 */
const NEARLY_A_SETTING =
  /^[^\w#\n]*(?:(?:setenv|setx|set|declare -x|export)[ \t]+|env:)?["']?([A-Z][A-Z0-9_]+)["']?[^\S\n]*[:= ]/gimu
const QUOTES = [`'`, '"', '`']

/**
 * @param isOurs true for names of our settings; other names are left alone
 * @throws ConfigError naming a setting that can be read in two ways
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

/** Removes a byte order mark and other systems' line ends. */
function textOf(file: string): string {
  try {
    return decodeText(readFileSync(file)).replace(/\r\n?/g, '\n')
  } catch (error) {
    throw new ConfigError(`.env: ${file} can't be read: ${error instanceof Error ? error.message : error}`)
  }
}

/** `#` starts a comment only after a blank; Node's parser would cut a secret at any `#`. */
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
