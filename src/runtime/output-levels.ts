/**
 * Reads the level that a line of a program's output gives in one of the usual forms. Programs print
 * people's messages, some of them in full, so only a level before the text counts, and nothing
 * needs to be known of the program.
 */
import { jsonOrNull } from '../lib/json-or-null.ts'

export type OutputLevel = 'debug' | 'info' | 'warn' | 'error'

const NAMES: ReadonlyMap<string, OutputLevel> = new Map([
  ...named('debug', 'trace trc verbose vrb debug dbg silly fine finer finest'),
  ...named('info', 'info inf information notice'),
  ...named('warn', 'warn wrn warning'),
  ...named('error', 'error err critical crit severe fatal ftl panic pnc alert emerg emergency'),
])

/** How a stack begins that a program prints by itself when it breaks down. */
const BREAKDOWN = /^(panic: |fatal error: |Traceback \(most recent call last\)|thread '.*' panicked at )/
/** Lines of a stack, and those between stacks. */
const STACK_LINE =
  /^(\s+\S|goroutine \d|created by |[\w./*()[\]-]+\(.*\)$|Caused by|During handling of|The above exception|[\w.]+(Error|Exception|Exit)\b)/
/** How many words may stand before the level: date, time, process, name of the logger. */
const HEAD_WORDS = 8
const HEAD_LENGTH = 200
/** By these a level in small letters is told from a word of a sentence. */
const BEFORE_LEVEL = /^[[(<"|]/
const AFTER_LEVEL = /^[\])>"|:@]/
const MONTH = /^(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b/

/**
 * Reads one output's lines in their order, since stacks have many.
 * @returns a function that answers undefined for a line without a level
 */
export function outputLevels(): (line: string) => OutputLevel | undefined {
  let isInStack = false
  return line => {
    const said = saidLevel(line)
    if (said === undefined && BREAKDOWN.test(line)) isInStack = true
    else isInStack = said === undefined ? isInStack && STACK_LINE.test(line) : said === 'error'
    return isInStack ? 'error' : said
  }
}

/** @returns undefined where the line doesn't say */
function saidLevel(line: string): OutputLevel | undefined {
  if (line.startsWith('{')) return levelInJson(line)
  return levelInPairs(line) ?? levelInHead(line)
}

/** One object a line, as of zerolog, pino (numbers) or structlog. */
function levelInJson(line: string): OutputLevel | undefined {
  // A line may be cut because of its length, or be no JSON.
  const fields = (jsonOrNull(line) ?? {}) as Record<string, unknown>
  const level = fields.level ?? fields.severity ?? fields.levelname ?? fields.lvl ?? fields['log.level']
  if (typeof level === 'number')
    return level >= 50 ? 'error' : level >= 40 ? 'warn' : level >= 30 ? 'info' : 'debug'
  return typeof level === 'string' ? NAMES.get(level.toLowerCase()) : undefined
}

/** `time=… level=info msg=…`, whose first pairs are the program's own. */
function levelInPairs(line: string): OutputLevel | undefined {
  const pair = /^(?:\w+=(?:"[^"]*"|[^\s"]+) ){0,3}(?:level|lvl|severity)="?(\w+)/i.exec(line)
  return NAMES.get(pair?.[1]?.toLowerCase() ?? '')
}

/**
 * Reads `<time> INF …`, `[<time>] [INFO@logger] …`, `<time> - logger - INFO - …`, `INFO:logger:…`:
 * only times and names may stand before the level.
 */
function levelInHead(line: string): OutputLevel | undefined {
  let before = ''
  for (const word of line.slice(0, HEAD_LENGTH).split(/\s+/, HEAD_WORDS)) {
    const level = levelOfWord(word)
    if (level) return isRequest(line) && level === 'info' ? 'debug' : level
    if (!isOfHead(word) && !/^[-|]+$/.test(before)) return undefined
    before = word
  }
  return undefined
}

function levelOfWord(word: string): OutputLevel | undefined {
  const [, opening = '', name = ''] = /^([[(<"|]*)([A-Za-z]+)/.exec(word) ?? []
  const level = NAMES.get(name.toLowerCase())
  const rest = word.slice(opening.length + name.length)
  const isMarked = BEFORE_LEVEL.test(opening) || AFTER_LEVEL.test(rest)
  return isMarked || (name === name.toUpperCase() && !/^\w/.test(rest)) ? level : undefined
}

/** A time, something in brackets, or what separates. */
function isOfHead(word: string): boolean {
  return /^[[(<|-]*\d|^[[(<|-]|[\])>|]$/.test(word) || word === '' || MONTH.test(word)
}

/** Mautrix bridges print a line for each request that we make, every few seconds. */
function isRequest(line: string): boolean {
  return /^\S+ INF Access /.test(line)
}

function named(level: OutputLevel, names: string): [string, OutputLevel][] {
  return names.split(' ').map(name => [name, level])
}
