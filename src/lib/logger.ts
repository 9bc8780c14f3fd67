/** The process's log: one JSON line per event in production, readable lines on a terminal. */
import pino from 'pino'
import pretty from 'pino-pretty'

export type Logger = Pick<pino.Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & {
  child(bindings: Record<string, unknown>): Logger
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Fields that must never reach a log line, wherever they stand one or two levels deep. */
const SECRET_FIELDS = [
  'token',
  'secret',
  'client_secret',
  'access_token',
  'authorization',
  'as_token',
  'hs_token',
]

/**
 * @param level lowest level that is written
 * @param destination where lines go; standard error by default, so that standard output stays free for answers
 * @param readable true writes coloured lines for a person instead of JSON
 */
export function createLogger(
  level: LogLevel,
  {
    readable = process.stderr.isTTY,
    destination,
  }: { readable?: boolean; destination?: pino.DestinationStream } = {},
): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRET_FIELDS.flatMap(field => [field, `*.${field}`]), censor: '[redacted]' },
  }
  // pino's `transport` option starts a worker from a file path, which a compiled binary doesn't have; a stream works in both.
  const stream =
    destination ??
    (readable
      ? pretty({ destination: 2, sync: true, ignore: 'pid,hostname' })
      : pino.destination({ dest: 2, sync: true }))
  return pino(options, stream)
}

export const silentLogger: Logger = createLogger('silent', { readable: false })
