/** The process's log: one JSON line per event in production, readable lines on a terminal. */
import pino from 'pino'
import pretty from 'pino-pretty'

export type Logger = Pick<pino.Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & {
  child(bindings: Record<string, unknown>): Logger
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** `auto` is `pretty` on a terminal, else `json`. */
export const LOG_FORMATS = ['auto', 'json', 'pretty'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

/** Fields that must never reach a log line, wherever they stand one or two levels deep. */
const SECRET_FIELDS = new Set([
  'token',
  'secret',
  'client_secret',
  'access_token',
  'authorization',
  'as_token',
  'hs_token',
])
const CENSOR = '[redacted]'

/**
 * @param level lowest level that is written
 * @param destination where lines go; standard error by default, so that standard output stays free for answers
 */
export function createLogger(
  level: LogLevel,
  { format = 'auto', destination }: { format?: LogFormat; destination?: pino.DestinationStream } = {},
): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    // pino's own `redact` copies each line in depth, which takes four times as long as all the rest of it.
    formatters: {
      level: label => ({ level: label }),

      log: fields => withoutSecrets(fields),
    },
    serializers: { err: error => withoutSecrets(pino.stdSerializers.err(error)) },
  }
  const isPretty = format === 'pretty' || (format === 'auto' && process.stderr.isTTY)
  // pino's `transport` option starts a worker from a file path, which a compiled binary doesn't have; a stream works in both.
  const stream =
    destination ??
    (isPretty
      ? pretty({ destination: 2, sync: true, ignore: 'pid,hostname', singleLine: true })
      : turnByTurn())
  const logger = pino(options, stream)
  const { child } = logger
  // No formatter sees the fields of a child.
  logger.child = function guarded(this: pino.Logger, bindings, childOptions) {
    return child.call(this, withoutSecrets(bindings), childOptions)
  } as typeof child
  return logger
}

function withoutSecrets(fields: Record<string, unknown>, depth = 0): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined
  for (const [name, value] of Object.entries(fields)) {
    const shown = SECRET_FIELDS.has(name)
      ? CENSOR
      : depth === 0 && isPlain(value)
        ? withoutSecrets(value, 1)
        : value
    if (shown === value) continue
    copy ??= { ...fields }
    copy[name] = shown
  }
  return copy ?? fields
}

/** Errors have a serializer of their own. */
function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Error)
}

/** Lines held back at most, in bytes. */
const MAX_HELD_BYTES = 8 * 1024

/**
 * Lines of one turn of the event loop go out in one write: a write for each would cost more than all else of a line. A kill at any instant
 * loses the lines of that turn at most, and none of a process that ends by itself.
 */
function turnByTurn(): pino.DestinationStream {
  const stream = pino.destination({ dest: 2, sync: true, minLength: MAX_HELD_BYTES })
  let isScheduled = false
  process.on('exit', () => stream.flushSync())
  return {
    write(line) {
      stream.write(line)
      if (isScheduled) return
      isScheduled = true
      setImmediate(() => {
        isScheduled = false
        stream.flushSync()
      })
    },
  }
}

export const silentLogger: Logger = createLogger('silent', { format: 'json', destination: { write() {} } })
