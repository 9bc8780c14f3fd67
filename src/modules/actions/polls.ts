/** Finds the options that a vote names. */
import { GatewayError } from '../../domain/errors.ts'
import type { TargetPoll } from './targets.ts'

/**
 * @param wanted ids or texts of options
 * @returns the options' ids, each once
 * @throws GatewayError bad_request
 */
export function chosenIn({ options, maxSelections }: TargetPoll, wanted: readonly string[]): string[] {
  const chosen = new Set(
    wanted.map(name => {
      const option = options.find(({ id }) => id === name) ?? options.find(({ text }) => text === name)
      if (option) return option.id
      const listed = options.map(({ text }) => JSON.stringify(text)).join(', ')
      throw wrong(`there is no ${JSON.stringify(name)}: expected ids or texts of ${listed}`)
    }),
  )
  if (chosen.size <= maxSelections) return [...chosen]
  throw wrong(`expected at most ${maxSelections} of them`)
}

function wrong(what: string): GatewayError {
  return new GatewayError('bad_request', `options: ${what}`)
}
