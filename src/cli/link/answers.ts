/** Asks a person for what a link's step wants. */
import { isCancel, multiline, password, select, text } from '@clack/prompts'
import { ALL_COOKIES, type LinkEvent, type LinkField } from '../../domain/views/link.ts'
import { CommandError, type Terminal } from '../terminal.ts'

/** A step that asks for something. */
export type Asking = Extract<LinkEvent, { fields: readonly LinkField[] }>

/**
 * @returns by field; null when the person doesn't want to go on
 * @throws CommandError where nobody can be asked
 */
export async function answersTo(
  { isInteractive }: Terminal,
  asking: Asking,
): Promise<Record<string, string> | null> {
  const fields = asking.type === 'cookies' ? [ALL_COOKIES] : asking.fields
  if (!isInteractive) {
    const names = fields.map(({ id }) => `--input ${id}=…`).join(' ')
    throw new CommandError(`the login asks for something, and there is no terminal to ask at: give ${names}`)
  }
  const answers: Record<string, string> = {}
  for (const field of fields) {
    const answer = await ask(field)
    if (isCancel(answer)) return null
    if (answer !== '' || field.required) answers[field.id] = answer
  }
  return answers
}

function ask({ type, name, description, options, required, default_value: value }: LinkField) {
  const message = description === '' ? name : `${name} (${description})`
  if (options.length > 0) {
    const choices = options.map(option => ({ value: option, label: option }))
    return select<string>({ message, options: choices, ...(value !== null && { initialValue: value }) })
  }
  if (type === 'password') return password({ message })
  if (type === 'cookie') return multiline({ message: `${message}, then Enter twice` })
  const validate = (given: string | undefined) => (required && !given ? 'This is needed.' : undefined)
  return text({ message, validate, ...(value !== null && { initialValue: value }) })
}
