/**
 * Levels of lines that programs print, in the forms of many logging libraries: people's own texts
 * are never taken for one.
 */
import { describe, expect, test } from 'bun:test'
import { outputLevels } from '../../../src/runtime/output-levels.ts'

const BODY = 'see you at the station'
const levelOf = (line: string) => outputLevels()(line)

describe('a line that says its level', () => {
  test.each([
    ['debug', `[2026-04-27 10:00:00,123] [DEBUG@mau.as.api] PUT /send {"body": "${BODY}"}`],
    ['info', '[2026-04-27 10:00:00,123] [INFO@mau.init] Starting'],
    ['error', '[2026-04-27 10:00:00,123] [ERROR@mau.init] Failed'],
    ['error', '[2026-04-27 10:00:00,123] [CRITICAL@mau.init] Failed'],
    ['debug', `2026-04-27T10:00:00Z DBG Sending event content={"body":"${BODY}"}`],
    ['debug', `2026-04-27T10:00:00Z TRC ${BODY}`],
    ['info', '2026-04-27T10:00:00Z INF Bridge started'],
    ['warn', '2026-04-27T10:00:00Z WRN careful'],
    ['error', '2026-04-27T10:00:00Z FTL broken'],
    ['debug', '2026-04-27T10:00:00Z INF Access method=GET path=/_matrix/mau/live'],
    ['debug', `2026-04-27 10:00:00,123 - mau.portal - DEBUG - ${BODY}`],
    ['warn', '2026-04-27 10:00:00,123 - mau.portal - WARNING - careful'],
    ['debug', `DEBUG:root:${BODY}`],
    ['warn', 'WARNING:root:careful'],
    ['info', 'INFO:     127.0.0.1:1234 - "PUT /_matrix/app/v1/transactions/1" 200'],
    ['info', '2026-04-27T10:00:00.000Z  INFO bridge::main: started'],
    ['debug', `[2026-04-27T10:00:00Z DEBUG bridge] ERROR ${BODY}`],
    ['info', 'Apr 27 10:00:00.123 INFO started'],
    ['debug', `DEBUG 10:00:00:123 [Appservice] ERROR: ${BODY}`],
    ['error', 'ERROR 10:00:00:123 [Appservice] down'],
    ['info', '[10:00:00] [info] started'],
    ['warn', 'warning: deprecated'],
    ['error', 'error: unknown option --registration'],
    ['debug', `{"level":"debug","time":1,"message":"ERROR ${BODY}"}`],
    ['info', '{"time":1,"level":"info","message":"up"}'],
    ['error', '{"level":50,"msg":"down"}'],
    ['debug', `{"level":20,"msg":"${BODY}"}`],
    ['warn', '{"severity":"WARNING","message":"careful"}'],
    ['info', 'time="2026-04-27T10:00:00Z" level=info msg=up'],
    ['debug', `time=2026-04-27T10:00:00Z level=debug msg="level=error ${BODY}"`],
  ])('%s: %s', (level, line) => {
    expect(levelOf(line)).toBe(level as ReturnType<typeof levelOf>)
  })
})

test.each([
  BODY,
  `got a message: ERROR ${BODY}`,
  `warning signs are everywhere, ${BODY}`,
  `Info and errors: ${BODY}`,
  `{"body": "${BODY}", "type": "m.text"}`,
  `{"level":"debug","body":"${'x'.repeat(5_000)}`,
  `10:00:00 incoming level=error ${BODY}`,
  `ERRORS ${BODY}`,
  `INFO_ABOUT ${BODY}`,
  '',
])('a line that says none: %s', line => {
  expect(levelOf(line)).toBeUndefined()
})

test('the lines of a stack are errors with the one before, and end with the next that is none', () => {
  const level = outputLevels()
  const levels = (...lines: string[]) => lines.map(level)
  expect(
    levels(
      '[2026-04-27 10:00:00,123] [ERROR@mau.portal] Failed',
      'Traceback (most recent call last):',
      '  File "portal.py", line 1, in handle',
      'ValueError: oops',
      BODY,
      '  indented text',
    ),
  ).toEqual(['error', 'error', 'error', 'error', undefined, undefined])
  expect(
    levels('panic: oh no', 'goroutine 1 [running]:', 'main.(*T).run(0xc000)', '\t/src/main.go:5 +0x1d'),
  ).toEqual(['error', 'error', 'error', 'error'])
})

test('further lines of a body that is for debug say none', () => {
  const level = outputLevels()
  level('[2026-04-27 10:00:00,123] [DEBUG@mau.as.api] PUT /send {')
  expect(['  "body": "hello",', '}'].map(level)).toEqual([undefined, undefined])
})
