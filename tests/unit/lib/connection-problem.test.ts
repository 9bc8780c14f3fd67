/** Reasons of failed requests, without any part of the URL. */
import { expect, test } from 'bun:test'
import { connectionProblem } from '../../../src/lib/connection-problem.ts'

const failed = (more: object) => Object.assign(new Error('fetching "http://x/?key=hidden"'), more)

test.each([
  [{ code: 'ECONNREFUSED' }, 'connection refused'],
  [{ code: 'ENOTFOUND' }, 'the name of the host could not be resolved'],
  [{ code: 'CERT_HAS_EXPIRED' }, 'the certificate has expired'],
  [{ name: 'TimeoutError' }, 'no answer in time'],
  [{ code: 'HPE_INVALID' }, 'the request failed (HPE_INVALID)'],
  // `constructor` is a property of every object, not a known code.
  [{ code: 'constructor' }, 'the request failed (constructor)'],
  [{ code: 'http://x/?key=hidden' }, 'the request failed'],
  [{}, 'the request failed'],
])('%j', (more, words) => {
  expect(connectionProblem(failed(more))).toBe(words)
})

test('what is no error is not repeated either', () => {
  expect(connectionProblem('http://x/?key=hidden')).toBe('the request failed')
})
