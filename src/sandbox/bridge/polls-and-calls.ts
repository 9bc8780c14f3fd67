/** Polls, votes and calls as Matrix events, in the words of each platform's bridge. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Poll } from '../network/types.ts'
import type { PlatformFacts, SandboxPlatform } from '../platforms.ts'
import type { MatrixContent } from './to-matrix.ts'

export const POLL = 'org.matrix.msc3381.poll'
const TEXT = 'org.matrix.msc1767.text'

/** WhatsApp's options have the digest of their text as id, Signal's are numbered. */
const OPTION_IDS: Record<SandboxPlatform, ((option: string, index: number) => string) | null> = {
  wa: option => createHash('sha256').update(option).digest('hex'),
  signal: (_option, index) => String(index),
  // Its bridge makes texts of polls, and reports no votes.
  telegram: null,
}

/** @returns null where the bridge knows no polls */
export function optionIds(platform: SandboxPlatform, { options, ids }: Poll): readonly string[] | null {
  const idOf = OPTION_IDS[platform]
  return idOf && (ids ?? options.map(idOf))
}

const answerSchema = z.object({ id: z.string(), [TEXT]: z.string() })
const pollSchema = z.object({
  question: z.object({ [TEXT]: z.string() }),
  answers: z.array(answerSchema),
  max_selections: z.number().catch(1).default(1),
})

/** @returns the poll of a content, null when it is malformed */
export function pollIn(content: Record<string, unknown>): Poll | null {
  const parsed = pollSchema.safeParse(content[`${POLL}.start`])
  if (!parsed.success) return null
  const { question, answers, max_selections: maxSelections } = parsed.data
  const ids = answers.map(({ id }) => id)
  return { question: question[TEXT], options: answers.map(answer => answer[TEXT]), maxSelections, ids }
}

const voteSchema = z.object({
  'm.relates_to': z.object({ event_id: z.string() }),
  [`${POLL}.response`]: z.object({ answers: z.array(z.string()) }),
})

/** @returns the poll's event and ids of the options chosen, null when it is malformed */
export function voteIn(content: Record<string, unknown>): { pollEvent: string; answers: string[] } | null {
  const parsed = voteSchema.safeParse(content)
  if (!parsed.success) return null
  const { 'm.relates_to': relation, [`${POLL}.response`]: response } = parsed.data
  return { pollEvent: relation.event_id, answers: response.answers }
}

/** As bridges send it that are set to have polls as events of their own (`extev_polls`). */
export function pollContent({ platform, displayName }: PlatformFacts, poll: Poll): MatrixContent {
  const { question, options, maxSelections } = poll
  const ids = optionIds(platform, poll)
  const lines = options.map((option, index) => `${index + 1}. ${option}`)
  if (ids === null) {
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
        answers: options.map((option, index) => ({ id: ids[index], [TEXT]: option })),
      },
    },
  }
}

/** @param chosen options of the poll. @returns null where votes aren't told */
export function voteContent(
  { platform }: PlatformFacts,
  pollEvent: string,
  poll: Poll,
  chosen: readonly string[],
): MatrixContent | null {
  const ids = optionIds(platform, poll)
  if (ids === null) return null
  const answers = chosen.flatMap(option => ids[poll.options.indexOf(option)] ?? [])
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
