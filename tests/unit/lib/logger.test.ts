/** The log: JSON lines without secrets. */
import { describe, expect, test } from 'bun:test'
import { createLogger, type LogLevel, silentLogger } from '../../../src/lib/logger.ts'

function logInto(lines: string[], level: LogLevel = 'debug') {
  return createLogger(level, { format: 'json', destination: { write: line => lines.push(line) } })
}

describe('secrets', () => {
  test.each(['token', 'secret', 'client_secret', 'access_token', 'authorization', 'as_token', 'hs_token'])(
    '%s is not written',
    field => {
      const lines: string[] = []
      const logger = logInto(lines)
      logger.info({ [field]: 'hunter2', kept: 'yes' }, 'said')
      logger.info({ request: { [field]: 'hunter2', kept: 'yes' } }, 'said')
      logger.child({ [field]: 'hunter2' }).info({ kept: 'yes' }, 'said')
      expect(lines).toHaveLength(3)
      for (const line of lines) {
        expect(line).not.toContain('hunter2')
        expect(line).toContain('[redacted]')
        expect(line).toContain('"kept":"yes"')
      }
    },
  )
})

test('on a terminal a wide line is one line, too', async () => {
  const script = `
    import { createLogger } from '${import.meta.dir}/../../../src/lib/logger.ts'
    createLogger('info', { format: 'pretty' }).info({ delivery_id: 'evt_1', attempt: 1, outcome: 'dead' }, 'delivery')`
  const child = Bun.spawn([process.execPath, '-e', script], { stdio: ['ignore', 'ignore', 'pipe'] })
  const written = await new Response(child.stderr).text()
  expect(written.trimEnd().split('\n')).toEqual([expect.stringMatching(/delivery.*evt_1.*dead/)])
})

test('a line is JSON with the time in UTC', () => {
  const lines: string[] = []
  logInto(lines)
    .child({ worker: 'outbox' })
    .warn({ err: new Error('broken') }, 'it failed')
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    worker: 'outbox',
    msg: 'it failed',
    err: { message: 'broken' },
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  })
})

test('an error with a field that throws is a line all the same', () => {
  const lines: string[] = []
  const error = Object.defineProperty(new Error('no such module'), 'position', {
    enumerable: true,
    get: () => {
      throw new TypeError('not a position')
    },
  })
  logInto(lines).error({ err: error }, 'failed')
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ msg: 'failed', err: { message: 'no such module' } })
})

test('what is below the level is not written', () => {
  const lines: string[] = []
  const logger = logInto(lines, 'warn')
  logger.debug('one')
  logger.info('two')
  logger.warn('three')
  logger.error('four')
  expect(lines).toHaveLength(2)
  expect(() => silentLogger.error('nothing')).not.toThrow()
})
