/** The answer of calls that have nothing to say but that it was done. */
import { t } from 'elysia'

export function messageAnswer(example: string) {
  return t.Object({ message: t.String() }, { examples: [{ message: example }] })
}
