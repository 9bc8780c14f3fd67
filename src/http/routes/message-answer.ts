/** The answer of calls that have nothing to say but that it was done. */
import { t } from 'elysia'
import { model } from '../schemas.ts'

const Done = model(
  'Done',
  { message: t.String() },
  { examples: [{ message: 'Webhook deleted successfully' }] },
)

/** @param message what it says */
export function messageAnswer(description: string, message: string) {
  return { description, schema: Done, example: { message } }
}
