/** Stores push rules without applying them: bridges record there which chats are muted. */
import { badJson, notFound } from './errors.ts'
import { isObject, type Json, type JsonObject } from './json.ts'

export const PUSH_RULES_TYPE = 'm.push_rules'

/** Rules of users who haven't changed any. */
export const PUSH_RULES: JsonObject = {
  global: {
    override: [
      { rule_id: '.m.rule.master', default: true, enabled: false, conditions: [], actions: [] },
      {
        rule_id: '.m.rule.suppress_notices',
        default: true,
        enabled: true,
        conditions: [{ kind: 'event_match', key: 'content.msgtype', pattern: 'm.notice' }],
        actions: [],
      },
    ],
    content: [],
    room: [],
    sender: [],
    underride: [
      {
        rule_id: '.m.rule.message',
        default: true,
        enabled: true,
        conditions: [{ kind: 'event_match', key: 'type', pattern: 'm.room.message' }],
        actions: ['notify'],
      },
    ],
  },
}

const KINDS = ['override', 'content', 'room', 'sender', 'underride']

/** The rules of one kind. @throws MatrixError M_NOT_FOUND for an unknown kind */
export function rulesOf(rules: JsonObject, kind: string): JsonObject[] {
  const list = KINDS.includes(kind) && isObject(rules.global) ? rules.global[kind] : undefined
  if (!Array.isArray(list)) throw notFound(`There is no kind of push rules called ${kind}`)
  return list.filter(isObject)
}

export function ruleOf(rules: JsonObject, kind: string, id: string): JsonObject {
  const rule = rulesOf(rules, kind).find(known => known.rule_id === id)
  if (!rule) throw notFound('Unknown push rule')
  return rule
}

/** Replaces the rule with this id, or puts it first among its kind; null removes it. */
export function withRule(rules: JsonObject, kind: string, id: string, rule: JsonObject | null): JsonObject {
  const known = rulesOf(rules, kind)
  const isKnown = known.some(other => other.rule_id === id)
  const replaced = known.flatMap(other => (other.rule_id !== id ? [other] : rule === null ? [] : [rule]))
  const list: Json[] = isKnown || rule === null ? replaced : [rule, ...known]
  return { ...rules, global: { ...(isObject(rules.global) ? rules.global : {}), [kind]: list } }
}

/** A rule as sent by a client. */
export function newRule(kind: string, id: string, body: JsonObject): JsonObject {
  if (id.startsWith('.') || id === '') throw badJson('The id of a rule of your own begins with no dot')
  if (!Array.isArray(body.actions)) throw badJson('Invalid field actions: must be a list')
  const rule: JsonObject = { rule_id: id, default: false, enabled: true, actions: body.actions }
  if (kind === 'override' || kind === 'underride')
    rule.conditions = Array.isArray(body.conditions) ? body.conditions : []
  if (kind === 'content') rule.pattern = typeof body.pattern === 'string' ? body.pattern : ''
  return rule
}
