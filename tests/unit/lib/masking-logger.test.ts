/** The log names nobody: in texts, fields, errors or a child's bindings. */
import { expect, test } from 'bun:test'
import { createLogger } from '../../../src/lib/logger.ts'
import { maskingNumbers } from '../../../src/lib/masking-logger.ts'

const NUMBER = '237123456789'

test('long numbers lose all but their last digits, wherever they stand', () => {
  let written = ''
  const plain = createLogger('debug', {
    format: 'json',
    destination: {
      write(line) {
        written += line
      },
    },
  })
  const logger = maskingNumbers(plain).child({ phone: `+${NUMBER}` })
  const cause = new Error(`no phone ${NUMBER}`)
  logger.debug({ login: NUMBER, count: 8_080, deep: { path: [`/phones/${NUMBER}`] } }, `to ${NUMBER}`)
  logger.warn({ err: new Error(`@wa_${NUMBER}:localhost is not here`, { cause }) }, 'failed')
  logger.error('plain %s', NUMBER)
  expect(written).not.toContain(NUMBER)
  const [first, second, third] = written
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  expect(first).toMatchObject({
    level: 'debug',
    phone: '+…89',
    login: '…89',
    count: 8_080,
    deep: { path: ['/phones/…89'] },
    msg: 'to …89',
  })
  expect(second.err).toMatchObject({ type: 'Error', message: '@wa_…89:localhost is not here: no phone …89' })
  expect(second.err.stack).toContain('masking-logger.test.ts')
  expect(third.msg).toBe('plain …89')
})

test('what the platform threw is written, too', () => {
  let written = ''
  const plain = createLogger('debug', { format: 'json', destination: { write: line => (written += line) } })
  maskingNumbers(plain).error({ err: new DOMException(`no phone ${NUMBER}`, 'AbortError') }, 'broken off')
  expect(JSON.parse(written)).toMatchObject({
    err: { name: 'AbortError', message: 'no phone …89' },
    msg: 'broken off',
  })
})
