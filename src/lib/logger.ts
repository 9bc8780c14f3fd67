/** The process's log: one JSON line per event in production, readable lines on a terminal. */
import pino from 'pino'
import { prettyFactory } from 'pino-pretty'
import { LineOutput } from './line-output.ts'

export type Logger = Pick<pino.Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & {
  child(bindings: Record<string, unknown>): Logger
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** `auto` is `pretty` on a terminal, else `json`. */
export const LOG_FORMATS = ['auto', 'json', 'pretty'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

/** Fields that must never reach a log line, at the top or one level deeper. */
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
 * @param level lowest level written
 * @param destination standard error by default; standard output is for a command's answers
 */
export function createLogger(
  level: LogLevel,
  { format = 'auto', destination }: { format?: LogFormat; destination?: pino.DestinationStream } = {},
): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    // pino's own `redact` deep-copies each line, which costs four times as much as all the rest.
    formatters: {
      level: label => ({ level: label }),

      log: fields => withoutSecrets(fields),
    },
    serializers: { err: serialized },
  }
  const isPretty = format === 'pretty' || (format === 'auto' && process.stderr.isTTY)
  const logger: pino.Logger = pino(
    options,
    destination ?? standardError(isPretty, dropped => logger.error({ dropped }, 'log lines were dropped')),
  )
  const { child } = logger
  // Formatters don't see a child's fields.
  logger.child = function guarded(this: pino.Logger, bindings, childOptions) {
    return child.call(this, withoutSecrets(bindings), childOptions)
  } as typeof child
  return logger
}

/** Some errors, such as Bun's of an import, have fields that throw: no line may fail its caller. */
function serialized(error: Error): Record<string, unknown> {
  try {
    return withoutSecrets(pino.stdSerializers.err(error))
  } catch {
    return { type: error.name, message: error.message, stack: error.stack }
  }
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

/** Errors have their own serializer. */
function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Error)
}

/** pino's streams block on a full log; its `transport` needs a file a compiled binary lacks. */
function standardError(isPretty: boolean, onDropped: (count: number) => void): pino.DestinationStream {
  const output = new LineOutput({ onDropped })
  process.on('exit', () => output.end())
  if (!isPretty) return output
  const format = prettyFactory({ ignore: 'pid,hostname', singleLine: true })
  return { write: line => output.write(format(line)) }
}

export const silentLogger: Logger = createLogger('silent', { format: 'json', destination: { write() {} } })
