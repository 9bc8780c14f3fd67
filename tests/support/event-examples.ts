/** Examples of docs/events.md, with the fields that they leave out. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SAID_EVENT_NAMES } from '../../src/domain/states.ts'
import { examplesOf } from './usage-guide.ts'

type Payload = Record<string, unknown>

/** As printed. @returns each below the name of its event, in the page's order */
export const PRINTED_EVENTS: { name: string; payload: Payload }[] = examplesOf(
  readFileSync(join(import.meta.dir, '..', '..', 'docs', 'events.md'), 'utf8'),
)
  .filter(({ language }) => language === 'json')
  .map(({ heading, code }) => ({ name: heading, payload: JSON.parse(code) }))

/** @returns the event's first example, as printed; empty without one */
export function printedEvent(name: string): Payload {
  return PRINTED_EVENTS.find(example => example.name === name)?.payload ?? {}
}

/** Messages and the like extend message.received, events of devices device.connected. */
export function wholeEvent(name: string, payload = printedEvent(name)): Payload {
  if (SAID_EVENT_NAMES.some(said => said === name)) return { ...printedEvent('message.received'), ...payload }
  return name.startsWith('device.') ? { ...printedEvent('device.connected'), ...payload } : payload
}
