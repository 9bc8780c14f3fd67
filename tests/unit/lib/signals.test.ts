import { expect, test } from 'bun:test'
import { Signals } from '../../../src/lib/signals.ts'

test('a signal carries its values to those who listen to its name, until they end that', () => {
  const signals = new Signals<{ moved: [from: string, to: string]; ended: [] }>()
  const heard: string[] = []
  const stop = signals.on('moved', (from, to) => heard.push(`${from} to ${to}`))
  signals.on('moved', () => heard.push('after'))
  signals.on('ended', () => heard.push('ended'))
  signals.emit('moved', 'a', 'b')
  stop()
  signals.emit('moved', 'b', 'c')
  signals.emit('ended')
  expect(heard).toEqual(['a to b', 'after', 'after', 'ended'])
})
