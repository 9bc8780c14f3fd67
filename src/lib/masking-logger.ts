/** A logger for parts whose ids and errors hold phone numbers: of each long number only the last digits are written. */
import type { Logger } from './logger.ts'
import { maskAddresses } from './mask-addresses.ts'

const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'] as const

/** @returns the same log, in which neither texts and fields nor errors with their stacks name anybody */
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

/** Of the same class, which pino writes, too. But a DOMException's fields are its own alone: those of a copy can't be read. */
function maskedError(error: Error): Error {
  const { message, stack = '', cause } = error
  const isCopied = !(error instanceof DOMException)
  const told = Object.create(isCopied ? Object.getPrototypeOf(error) : Error.prototype) as Error
  const fields = { ...error, ...(isCopied ? {} : { name: error.name }), message, stack, cause }
  for (const [name, field] of Object.entries(fields))
    if (field !== undefined) Object.defineProperty(told, name, { value: masked(field), enumerable: true })
  return told
}
