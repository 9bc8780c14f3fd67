/** A logger whose lines a test reads. */
import { createLogger, type Logger } from '../../src/lib/logger.ts'

export function collectedLog(): { logger: Logger; text(): string } {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  return { logger: createLogger('info', { format: 'json', destination }), text: () => lines.join('') }
}
