/** A logger for parts whose ids and errors hold phone numbers: it keeps only the last digits. */
import type { Logger } from './logger.ts'
import { maskAddresses } from './mask-addresses.ts'

const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'] as const

/** @returns the same log; its texts, fields, errors and stacks name nobody */
export function maskingNumbers(logger: Logger): Logger {
  const writers = LEVELS.map(level => [
    level,
    (...[first, ...rest]: unknown[]) => {
      const write = logger[level] as (...args: unknown[]) => void
      write.call(logger, masked(first), ...rest.map(masked))
    },
  ])
  return {
    ...(Object.fromEntries(writers) as Pick<Logger, (typeof LEVELS)[number]>),
    child: bindings => maskingNumbers(logger.child(masked(bindings) as Record<string, unknown>)),
  }
}

function masked(value: unknown): unknown {
  if (typeof value === 'string') return maskAddresses(value)
  if (value instanceof Error) return maskedError(value)
  if (Array.isArray(value)) return value.map(masked)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, masked(field)]))
}

/** Keeps the class, which pino writes; a DOMException's fields can't be read on a copy. */
function maskedError(error: Error): Error {
  const { message, stack = '', cause } = error
  const isCopied = !(error instanceof DOMException)
  const told = Object.create(isCopied ? Object.getPrototypeOf(error) : Error.prototype) as Error
  const fields = { ...error, ...(isCopied ? {} : { name: error.name }), message, stack, cause }
  for (const [name, field] of Object.entries(fields))
    if (field !== undefined) Object.defineProperty(told, name, { value: masked(field), enumerable: true })
  return told
}
