/** Data shared by the parts of a sync's answer. */
import type { TurnBudget } from '../lib/turn-budget.ts'
import type { Requester } from './call.ts'
import type { Core } from './core.ts'
import type { Filter } from './filter.ts'

/** A position in the stream, and one among typing changes, which aren't stored. */
export interface SyncToken {
  position: number
  typing: number
}

export interface SyncRequest {
  since: SyncToken | undefined
  filter: Filter
  fullState: boolean
}

export function parseSyncToken(token: string): SyncToken | undefined {
  const match = /^[st](\d{1,15})(?:_(\d{1,15}))?$/.exec(token)
  return match ? { position: Number(match[1]), typing: Number(match[2] ?? 0) } : undefined
}

export interface SyncContext {
  core: Core
  requester: Requester
  request: SyncRequest
  /** The answer holds everything up to here and nothing after it. */
  position: number
  turn: TurnBudget
}

export function accountDataText(type: string, content: string | undefined): string {
  return `{"type":${JSON.stringify(type)},"content":${content ?? '{}'}}`
}
