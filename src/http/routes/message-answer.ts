/** The answer of calls that have nothing to say but that it was done. */
import { t } from 'elysia'
import { model } from '../../domain/views/schema.ts'
import { answer } from '../route.ts'

const Done = model(
  'Done',
  { message: t.String() },
  { examples: [{ message: 'Webhook deleted successfully' }] },
)

/** @param message what it says */
export function messageAnswer(description: string, message: string, status = 200) {
  return answer(status, description, Done, { example: { message } })
}
