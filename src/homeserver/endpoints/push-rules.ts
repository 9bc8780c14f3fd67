/** Push rules. @see https://spec.matrix.org/v1.5/client-server-api/#push-rules-api */
import { z } from 'zod'
import { readBody, readObject } from '../body.ts'
import { type Call, param } from '../call.ts'
import { sharesType } from '../direct-rooms.ts'
import { badJson, tooLarge } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import { parseStored } from '../json.ts'
import { MAX_EVENT_BYTES } from '../limits.ts'
import { newRule, PUSH_RULES, PUSH_RULES_TYPE, ruleOf, rulesOf, withRule } from '../push-rules.ts'

const GLOBAL = 0

function storedRules({ core, requester }: Call): JsonObject {
  if (!sharesType(requester, PUSH_RULES_TYPE)) return PUSH_RULES
  const stored = core.users.accountData(requester.userId, GLOBAL, PUSH_RULES_TYPE)
  return stored === undefined ? PUSH_RULES : parseStored(stored)
}

export function getPushRules(call: Call): JsonObject {
  return storedRules(call)
}

export function getGlobalPushRules(call: Call): JsonObject {
  return storedRules(call).global as JsonObject
}

export function getPushRule(call: Call): JsonObject {
  return ruleOf(storedRules(call), param(call, 'kind'), param(call, 'ruleId'))
}

export async function putPushRule(call: Call): Promise<JsonObject> {
  const body = await readObject(call.request)
  const kind = param(call, 'kind')
  return change(call, () => newRule(kind, param(call, 'ruleId'), body))
}

export async function deletePushRule(call: Call): Promise<JsonObject> {
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

export async function putPushRuleField(call: Call): Promise<JsonObject> {
  const body = (await readBody<unknown>(call.request, fieldBody[fieldOf(call)])) as JsonObject
  return change(call, rules => ({ ...ruleOf(rules, param(call, 'kind'), param(call, 'ruleId')), ...body }))
}

function fieldOf(call: Call): 'enabled' | 'actions' {
  return new URL(call.request.url).pathname.endsWith('/enabled') ? 'enabled' : 'actions'
}

/** @param make returns the replacement for the named rule; null removes it */
async function change(call: Call, make: (rules: JsonObject) => JsonObject | null): Promise<JsonObject> {
  const kind = param(call, 'kind')
  await call.core.commit(tx => {
    const rules = storedRules(call)
    rulesOf(rules, kind)
    const changed = withRule(rules, kind, param(call, 'ruleId'), make(rules))
    if (JSON.stringify(changed).length > MAX_EVENT_BYTES) throw tooLarge('There are too many push rules')
    tx.putAccountData(call.requester.userId, GLOBAL, PUSH_RULES_TYPE, changed)
  })
  return {}
}
