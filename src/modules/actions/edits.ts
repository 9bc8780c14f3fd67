/** Edits of a message, and which messages can be edited at all. */
import { GatewayError } from '../../domain/errors.ts'
import type { MessageStatus } from '../../domain/states.ts'
import type { SendContent } from '../../domain/views/message-content.ts'
import type { Act } from '../sending/act-repository.ts'
import { isMentioned } from '../sending/content/formatting.ts'
import type { Target } from './targets.ts'

const WITHOUT_EFFECT: readonly MessageStatus[] = ['failed', 'cancelled']
const TEXTS: readonly string[] = ['text', 'emote', 'notice']

/** @returns how often the acts edit the message */
export function editsIn(acts: readonly Act[]): number {
  return acts.filter(({ act, status }) => act === 'edit' && !WITHOUT_EFFECT.includes(status)).length
}

/** @returns the message's other parts: it goes on mentioning those who stand in its new text */
export function partsBeside(text: string, content: SendContent | null): SendContent | null {
  if (!content?.mentions) return content
  const { mentions: before, ...others } = content
  const mentions = before.filter(contact => isMentioned(text, contact))
  const parts = mentions.length > 0 ? { ...others, mentions } : others
  return Object.keys(parts).length > 0 ? parts : null
}

/** @throws GatewayError unprocessable unless it is a text, or a file that was sent from here */
export function refuseUneditable({ kind, sent }: Target): void {
  const isFile = sent !== null && sent.mediaId !== null && !sent.content?.contact_card
  if (TEXTS.includes(kind) || isFile) return
  throw new GatewayError(
    'unprocessable',
    'only texts, and captions of files that were sent from here, can be edited',
  )
}
