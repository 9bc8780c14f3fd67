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

/**
 * Compares fields, types and kinds of ids, however deep. A null on either side and an empty list
 * tell nothing.
 * @returns a line for each difference
 */
export function differences(payload: unknown, example: unknown, path = ''): string[] {
  if (payload === null || example === null) return []
  if (Array.isArray(payload) && Array.isArray(example)) {
    const [one, other] = [payload[0], example[0]]
    return one === undefined || other === undefined ? [] : differences(one, other, `${path}[]`)
  }
  if (isRecord(payload) && isRecord(example)) {
    const names = new Set([...Object.keys(payload), ...Object.keys(example)])
    return [...names].flatMap(name => {
      const at = `${path}.${name}`
      if (!(name in payload)) return [`${at} does not come`]
      if (!(name in example)) return [`${at} is not described`]
      return differences(payload[name], example[name], at)
    })
  }
  const [comes, described] = [kindOf(payload), kindOf(example)]
  return comes === described ? [] : [`${path} is ${comes}, described as ${described}`]
}

const KINDS: [RegExp, string][] = [
  [/^@[^:]+:/, 'a user id'],
  [/^![^:]+/, 'a room id'],
  [/^\$[\w-]+$/, 'an event id'],
  [/^\d{4}-\d\d-\d\dT/, 'a time'],
]

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value !== 'string') return typeof value
  const ours = /^([a-z]+_)[\da-f]{32}$/.exec(value)?.[1] ?? /\/api\/v1\/\w+\/[a-z]+_/.exec(value)?.[0]
  return ours ?? KINDS.find(([pattern]) => pattern.test(value))?.[1] ?? 'text'
}

function isRecord(value: unknown): value is Payload {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
