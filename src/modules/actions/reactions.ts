/** One's own reaction to a message, as the acts on it make it: a new one replaces the other. */
import { GatewayError } from '../../domain/errors.ts'
import type { MessageStatus } from '../../domain/states.ts'
import type { Act } from '../sending/act-repository.ts'
import type { StandingReaction } from './target-repository.ts'

const WITHOUT_EFFECT: readonly MessageStatus[] = ['failed', 'cancelled']
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

/**
 * @param acts on the message, oldest first
 * @returns the reaction that stands in the room after them
 */
export function standingReaction(acts: readonly Act[]): StandingReaction | null {
  let standing: StandingReaction | null = null
  for (const { act, status, eventId, content } of acts) {
    if (WITHOUT_EFFECT.includes(status)) continue
    if (act === 'unreact') standing = null
    if (act === 'react' && eventId !== null) standing = { emoji: content?.emoji ?? '', eventId }
  }
  return standing
}

/** True when there will be a reaction once all acts are done. */
export function hasReaction(acts: readonly Act[]): boolean {
  const last = acts.findLast(
    ({ act, status }) => (act === 'react' || act === 'unreact') && !WITHOUT_EFFECT.includes(status),
  )
  return last?.act === 'react'
}

/** @throws GatewayError bad_request unless it is one emoji, as a person sees it */
export function checkEmoji(emoji: string): void {
  const isOne = [...graphemes.segment(emoji)].length === 1
  // A heart may lack the mark that makes it an emoji.
  if (isOne && [emoji, `${emoji}\ufe0f`].some(one => /^\p{RGI_Emoji}$/v.test(one))) return
  throw new GatewayError('bad_request', 'emoji: expected one emoji')
}
