/** Polls, votes and calls as Matrix events, in the words of each platform's bridge. */
import { createHash } from 'node:crypto'
import type { Poll } from '../network/types.ts'
import type { PlatformFacts, SandboxPlatform } from '../platforms.ts'
import type { MatrixContent } from './to-matrix.ts'

const POLL = 'org.matrix.msc3381.poll'
const TEXT = 'org.matrix.msc1767.text'

/** WhatsApp's options have the digest of their text as id, Signal's are numbered. */
const OPTION_IDS: Record<SandboxPlatform, ((option: string, index: number) => string) | null> = {
  wa: option => createHash('sha256').update(option).digest('hex'),
  signal: (_option, index) => String(index),
  // Its bridge makes texts of polls, and tells no votes.
  telegram: null,
}

/** As bridges send it that are set to have polls as events of their own (`extev_polls`). */
export function pollContent({ platform, displayName }: PlatformFacts, poll: Poll): MatrixContent {
  const { question, options, maxSelections } = poll
  const idOf = OPTION_IDS[platform]
  const lines = options.map((option, index) => `${index + 1}. ${option}`)
  if (idOf === null) {
    const body = ['Poll: ', question, '\n', lines.join('\n'), `\nOpen the ${displayName} app to vote.`].join(
      '',
    )
    return { type: 'm.room.message', content: { msgtype: 'm.text', body } }
  }
  const hint = `(This message is a poll. Please open ${displayName} to vote.)`
  const body = `${question}\n\n${lines.map(line => `${line}\n`).join('\n')}\n\n${hint}`
  return {
    type: `${POLL}.start`,
    content: {
      msgtype: 'm.text',
      body,
      'org.matrix.msc1767.message': [{ mimetype: 'text/plain', body }],
      [`${POLL}.start`]: {
        kind: `${POLL}.disclosed`,
        max_selections: maxSelections,
        question: { [TEXT]: question },
        answers: options.map((option, index) => ({ id: idOf(option, index), [TEXT]: option })),
      },
    },
  }
}

/** @param chosen options of the poll. @returns null where votes aren't told */
export function voteContent(
  { platform }: PlatformFacts,
  pollEvent: string,
  { options }: Poll,
  chosen: readonly string[],
): MatrixContent | null {
  const idOf = OPTION_IDS[platform]
  if (idOf === null) return null
  const answers = chosen.map(option => idOf(option, options.indexOf(option)))
  const relation = { rel_type: 'm.reference', event_id: pollEvent }
  return {
    type: `${POLL}.response`,
    content: { 'm.relates_to': relation, [`${POLL}.response`]: { answers } },
  }
}

/** Only Telegram's bridge tells whether there is a picture. */
export function callContent({ platform, displayName }: PlatformFacts, isVideo: boolean): MatrixContent {
  const said: Record<SandboxPlatform, [msgtype: string, body: string]> = {
    wa: ['m.text', `Incoming call. Use the ${displayName} app to answer.`],
    signal: ['m.text', 'Incoming call'],
    telegram: ['m.notice', isVideo ? 'Started a video call' : 'Started a call'],
  }
  const [msgtype, body] = said[platform]
  const callType = platform === 'telegram' ? { call_type: isVideo ? 'video' : 'voice' } : {}
  const action = { type: 'call', ...callType }
  return { type: 'm.room.message', content: { msgtype, body, 'com.beeper.action_message': action } }
}
