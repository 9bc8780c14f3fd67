/** Edits of a message, and which messages can be edited at all. */
import { GatewayError } from '../../domain/errors.ts'
import type { MessageStatus } from '../../domain/states.ts'
import type { Act } from '../sending/act-repository.ts'
import type { Target } from './targets.ts'

const WITHOUT_EFFECT: readonly MessageStatus[] = ['failed', 'cancelled']
const TEXTS: readonly string[] = ['text', 'emote', 'notice']

/** @returns how often the acts edit the message */
export function editsIn(acts: readonly Act[]): number {
  return acts.filter(({ act, status }) => act === 'edit' && !WITHOUT_EFFECT.includes(status)).length
}

/** @throws GatewayError unprocessable unless it is a text, or a file that was sent from here */
export function refuseUneditable({ kind, sent }: Target): void {
  const isFile = sent !== null && sent.mediaId !== null && sent.content === null
  if (TEXTS.includes(kind) || isFile) return
  throw new GatewayError(
    'unprocessable',
    'only texts, and captions of files that were sent from here, can be edited',
  )
}
