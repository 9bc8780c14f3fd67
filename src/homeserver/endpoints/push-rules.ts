/**
 * Push rules, stored without being applied: bridges record there which chats are muted.
 * @see https://spec.matrix.org/v1.5/client-server-api/#push-rules-api
 */
import { z } from 'zod'
import { sharesType } from '../appservices/direct-rooms.ts'
import { type Call, param, readBody, readObject } from '../call.ts'
import { badJson, notFound, tooLarge } from '../errors.ts'
import { isObject, type Json, type JsonObject, parseStored } from '../json.ts'
import { MAX_EVENT_BYTES } from '../limits.ts'

export const PUSH_RULES_TYPE = 'm.push_rules'

/** A rule of the server's own, for events whose `key` is `pattern`. */
const matching = (id: string, key: string, pattern: string, actions: Json[]): JsonObject => ({
  rule_id: `.m.rule.${id}`,
  default: true,
  enabled: true,
  conditions: [{ kind: 'event_match', key, pattern }],
  actions,
})

/** Rules of users who haven't changed any. */
export const PUSH_RULES: JsonObject = {
  global: {
    override: [
      { rule_id: '.m.rule.master', default: true, enabled: false, conditions: [], actions: [] },
      matching('suppress_notices', 'content.msgtype', 'm.notice', []),
    ],
    content: [],
    room: [],
    sender: [],
    underride: [matching('message', 'type', 'm.room.message', ['notify'])],
  },
}

const GLOBAL = 0

export function getPushRules(call: Call): JsonObject {
  if (!sharesType(call, PUSH_RULES_TYPE)) return PUSH_RULES
  const stored = call.core.users.accountData(call.userId, GLOBAL, PUSH_RULES_TYPE)
  return stored === undefined ? PUSH_RULES : parseStored(stored)
}

export function getGlobalPushRules(call: Call): JsonObject {
  return getPushRules(call).global as JsonObject
}

export function getPushRule(call: Call): JsonObject {
  return ruleOf(getPushRules(call), param(call, 'kind'), param(call, 'ruleId'))
}

export async function putPushRule(call: Call): Promise<undefined> {
  const body = await readObject(call)
  const kind = param(call, 'kind')
  return change(call, () => newRule(kind, param(call, 'ruleId'), body))
}

export async function deletePushRule(call: Call): Promise<undefined> {
  return change(call, rules => {
    const rule = ruleOf(rules, param(call, 'kind'), param(call, 'ruleId'))
    if (rule.default === true) throw badJson("The server's own rules can't be removed, only switched off")
    return null
  })
}

/** Answers with `enabled` or `actions` of a rule. */
export function getPushRuleField(call: Call): JsonObject {
  const field = fieldOf(call)
  const value = getPushRule(call)[field]
  return value === undefined ? {} : { [field]: value }
}

const fieldBody = {
  enabled: z.object({ enabled: z.boolean() }),
  actions: z.object({ actions: z.array(z.json()) }),
}

export async function putPushRuleField(call: Call): Promise<undefined> {
  const body = (await readBody<unknown>(call, fieldBody[fieldOf(call)])) as JsonObject
  return change(call, rules => ({ ...ruleOf(rules, param(call, 'kind'), param(call, 'ruleId')), ...body }))
}

function fieldOf(call: Call): 'enabled' | 'actions' {
  return new URL(call.request.url).pathname.endsWith('/enabled') ? 'enabled' : 'actions'
}

/** @param make returns the replacement for the named rule; null removes it */
async function change(call: Call, make: (rules: JsonObject) => JsonObject | null): Promise<undefined> {
  const kind = param(call, 'kind')
  await call.core.commit(tx => {
    const rules = getPushRules(call)
    rulesOf(rules, kind)
    const changed = withRule(rules, kind, param(call, 'ruleId'), make(rules))
    if (JSON.stringify(changed).length > MAX_EVENT_BYTES) throw tooLarge('There are too many push rules')
    tx.putAccountData(call.userId, GLOBAL, PUSH_RULES_TYPE, changed)
  })
}

const KINDS = ['override', 'content', 'room', 'sender', 'underride']

/** The rules of one kind. @throws MatrixError M_NOT_FOUND for an unknown kind */
function rulesOf(rules: JsonObject, kind: string): JsonObject[] {
  const list = KINDS.includes(kind) && isObject(rules.global) ? rules.global[kind] : undefined
  if (!Array.isArray(list)) throw notFound(`There is no kind of push rules called ${kind}`)
  return list.filter(isObject)
}

function ruleOf(rules: JsonObject, kind: string, id: string): JsonObject {
  const rule = rulesOf(rules, kind).find(known => known.rule_id === id)
  if (!rule) throw notFound('Unknown push rule')
  return rule
}

/** Replaces the rule with this id, or puts it first among its kind; null removes it. */
function withRule(rules: JsonObject, kind: string, id: string, rule: JsonObject | null): JsonObject {
  const known = rulesOf(rules, kind)
  const isKnown = known.some(other => other.rule_id === id)
  const replaced = known.flatMap(other => (other.rule_id !== id ? [other] : rule === null ? [] : [rule]))
  const list: Json[] = isKnown || rule === null ? replaced : [rule, ...known]
  return { ...rules, global: { ...(isObject(rules.global) ? rules.global : {}), [kind]: list } }
}

/** A rule as sent by a client. */
function newRule(kind: string, id: string, body: JsonObject): JsonObject {
  if (id.startsWith('.') || id === '') throw badJson('The id of a rule of your own begins with no dot')
  if (!Array.isArray(body.actions)) throw badJson('Invalid field actions: must be a list')
  const rule: JsonObject = { rule_id: id, default: false, enabled: true, actions: body.actions }
  if (kind === 'override' || kind === 'underride')
    rule.conditions = Array.isArray(body.conditions) ? body.conditions : []
  if (kind === 'content') rule.pattern = typeof body.pattern === 'string' ? body.pattern : ''
  return rule
}
