/** Expects the one error body that every failure has. */
import { expect } from 'bun:test'
import type { Answer } from './test-http.ts'

/** @param says a part of the sentence, or all of it */
export function expectError(answer: Answer, status: number, code: string, says: string | RegExp = ''): void {
  expect({ status: answer.status, code: answer.body.code }, answer.text).toEqual({ status, code })
  expect(Object.keys(answer.body).sort()).toEqual(['code', 'error', 'request_id'])
  expect(String(answer.body.error)).toMatch(says)
  expect(answer.body.request_id).toBe(answer.headers.get('x-request-id') ?? '')
  expect(answer.headers.get('content-type')).toStartWith('application/json')
}
