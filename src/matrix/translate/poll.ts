/**
 * Reads polls and votes (MSC3381), in the stable form and in that of before. Bridges write the
 * latter, as events of its types or beside a text.
 */
import { z } from 'zod'
import type { Poll } from '../../domain/events.ts'

const UNSTABLE = 'org.matrix.msc3381.poll'
const typesOf = (name: string) => ({ stable: `m.poll.${name}`, unstable: `${UNSTABLE}.${name}` }) as const
export const POLL_START_TYPES = typesOf('start')
export const POLL_RESPONSE_TYPES = typesOf('response')
export const POLL_END_TYPES = typesOf('end')

/** MSC1767: a text, or its forms by type. */
const texts = z.union([z.string(), z.array(z.object({ body: z.string(), mimetype: z.string().optional() }))])
const labelled = z.object({
  'm.text': texts.optional(),
  'org.matrix.msc1767.text': texts.optional(),
  'org.matrix.msc1767.message': texts.optional(),
  body: z.string().optional(),
})
type Labelled = z.infer<typeof labelled>

const start = z.object({
  question: labelled,
  max_selections: z.int().positive().catch(1).default(1),
  answers: z.array(labelled.extend({ id: z.string().optional(), 'm.id': z.string().optional() })).min(1),
})
const selections = z.array(z.string().catch(''))
const response = z.object({ answers: selections })

/** @returns null when there is no poll in the content */
export function pollOf(content: Record<string, unknown>): Poll | null {
  const found = content['m.poll'] ?? content[POLL_START_TYPES.stable] ?? content[POLL_START_TYPES.unstable]
  const parsed = start.safeParse(found)
  if (!parsed.success) return null
  const { question, answers, max_selections: maxSelections } = parsed.data
  const options = answers.flatMap(answer => {
    const id = answer['m.id'] ?? answer.id
    return id ? [{ id, text: textOf(answer), votes: 0 }] : []
  })
  return { question: textOf(question), options, max_selections: Math.min(maxSelections, options.length) }
}

/** @returns ids of the chosen options, none for a vote that was taken back; null for no vote */
export function selectionsOf(content: Record<string, unknown>): string[] | null {
  const stable = selections.safeParse(content['m.selections'])
  const unstable = response.safeParse(content[POLL_RESPONSE_TYPES.unstable])
  const chosen = stable.data ?? unstable.data?.answers
  return chosen ? [...new Set(chosen.filter(id => id !== ''))] : null
}

function textOf({ body, ...forms }: Labelled): string {
  const given = forms['m.text'] ?? forms['org.matrix.msc1767.text'] ?? forms['org.matrix.msc1767.message']
  if (typeof given === 'string') return given
  const plain = given?.find(({ mimetype = 'text/plain' }) => mimetype === 'text/plain') ?? given?.[0]
  return plain?.body ?? body ?? ''
}
