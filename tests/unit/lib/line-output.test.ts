/** Lines to a log that takes all, a part, or nothing. */
import { expect, test } from 'bun:test'
import { LineOutput } from '../../../src/lib/line-output.ts'

const LINE = `${'é'.repeat(1_000)}\n`
/** More lines than the buffer holds. */
const TOO_MANY = 400

/** Writes into a pipe with `room` bytes; the test runs each turn of the event loop. */
function scene(room = Number.POSITIVE_INFINITY) {
  let written = Buffer.alloc(0)
  const puts: number[] = []
  const waits: number[] = []
  let tasks: (() => void)[] = []
  const pipe = { room, code: 'EAGAIN' }
  const output = new LineOutput({
    onDropped: count => output.write(`dropped ${count}\n`),
    put(data) {
      if (pipe.room === 0) throw Object.assign(new Error('no room'), { code: pipe.code })
      const taken = Buffer.from(data).subarray(0, pipe.room)
      pipe.room -= taken.length
      written = Buffer.concat([written, taken])
      puts.push(taken.length)
      return taken.length
    },
    later(task, afterMs) {
      waits.push(afterMs)
      tasks.push(task)
    },
  })
  return {
    output,
    pipe,
    puts,
    waits,
    text: () => written.toString(),
    turn() {
      const due = tasks
      tasks = []
      for (const task of due) task()
    },
  }
}

test('lines of one turn go out in one write', () => {
  const { output, puts, text, turn } = scene()
  output.write('one\n')
  output.write('two\n')
  expect(puts).toEqual([])
  turn()
  expect(puts).toEqual([8])
  output.write('three\n')
  turn()
  expect(text()).toBe('one\ntwo\nthree\n')
})

test('a line that was taken in part, even within a character, is finished before the next', () => {
  const { output, pipe, text, turn } = scene(1)
  output.write('é one\n')
  turn()
  output.write('two\n')
  turn()
  pipe.room = 3
  turn()
  pipe.room = 100
  turn()
  expect(text()).toBe('é one\ntwo\n')
})

test('what does not fit is dropped, and the number stands where it is missing', () => {
  const { output, pipe, text, turn } = scene(0)
  for (let line = 0; line < TOO_MANY; line++) output.write(LINE)
  output.write('short enough\n')
  turn()
  pipe.room = Number.POSITIVE_INFINITY
  turn()
  output.write('later\n')
  turn()
  const kept = text().split(LINE).length - 1
  expect(kept).toBeGreaterThan(200)
  expect(kept).toBeLessThan(TOO_MANY)
  expect(text().replaceAll(LINE, '')).toBe(`dropped ${TOO_MANY + 1 - kept}\nlater\n`)
})

test.each(['EAGAIN', 'ENOSPC', 'EPIPE'])('a log that answers %s is tried again, ever more rarely', code => {
  const { output, pipe, text, turn, waits } = scene(0)
  pipe.code = code
  output.write('one\n')
  for (let tries = 0; tries < 9; tries++) turn()
  expect(waits).toEqual([0, 10, 20, 40, 80, 160, 320, 640, 1_000, 1_000])
  pipe.room = 100
  turn()
  expect(text()).toBe('one\n')
  output.write('two\n')
  expect(waits.at(-1)).toBe(0)
})

test('the end writes what is left, and the number of those that were dropped', () => {
  const { output, text } = scene()
  output.write('last words\n')
  output.end()
  expect(text()).toBe('last words\n')

  const full = scene(0)
  for (let line = 0; line < TOO_MANY; line++) full.output.write(LINE)
  full.pipe.room = Number.POSITIVE_INFINITY
  full.output.end()
  expect(full.text()).toMatch(/\ndropped \d+\n$/)
})

test.each(['EAGAIN', 'ENOSPC', 'EPIPE'])('the end does not wait for a log that answers %s for ever', code => {
  const { output, pipe, text } = scene(0)
  pipe.code = code
  output.write('one\n')
  output.end()
  expect(text()).toBe('')
})
