/** Shows a bridge's login steps to those who follow a link. */
import { GatewayError } from '../../domain/errors.ts'
import type { AskingStep, LoginStep } from '../../domain/login-steps.ts'
import type { LinkEnd, LinkEvent, LinkState } from '../../domain/views/link.ts'
import { connectionProblem } from '../../lib/connection-problem.ts'
import { namesOf } from './link-answers.ts'

export function eventOf(step: Exclude<LoginStep, { kind: 'complete' }>): LinkEvent {
  const { instructions } = step
  switch (step.kind) {
    case 'input':
      return { type: 'input', fields: step.fields, attachments: step.attachments, instructions }
    case 'cookies':
      return { type: 'cookies', ...step.page, fields: step.fields, instructions }
    case 'passkey':
      return { type: 'passkey', url: step.url, publicKey: step.publicKey, fields: step.fields, instructions }
    case 'display':
      return displayEvent(step)
  }
}

function displayEvent(step: LoginStep & { kind: 'display' }): LinkEvent {
  const { display, data, image_url, instructions } = step
  switch (display) {
    case 'qr':
      return { type: 'qr', payload: data, image_url, instructions }
    case 'code':
      return { type: 'code', code: data, image_url, instructions }
    case 'emoji':
      return { type: 'emoji', emoji: data, image_url, instructions }
    case 'nothing':
      return { type: 'wait', instructions }
  }
}

const STATES: Record<Exclude<LinkEvent['type'], 'error'>, LinkState> = {
  qr: 'waiting_for_scan',
  code: 'waiting_for_code',
  emoji: 'waiting_for_code',
  wait: 'waiting',
  input: 'waiting_for_input',
  cookies: 'waiting_for_input',
  passkey: 'waiting_for_input',
  connected: 'connected',
}

export function stateOf(event: LinkEvent): LinkState {
  return event.type === 'error' ? event.code : STATES[event.type]
}

/** How a link ended that its bridge gave up. */
export function endOf(error: unknown): LinkEnd {
  if (error instanceof GatewayError && error.code === 'bridge_timeout') return 'timeout'
  const message = error instanceof Error ? error.message : String(error)
  if (/time[d-]?[\s-]?out|expired/i.test(message)) return 'timeout'
  return /cancel/i.test(message) ? 'cancelled' : 'failed'
}

/** A bridge's own words, or ours: those of the runtime are no use to whoever links a device. */
export function wordsOf(error: unknown): string {
  return error instanceof GatewayError ? error.message : connectionProblem(error)
}

/** A bridge's refusal of an answer, for the person who gave it. */
export function refused(step: AskingStep, error: unknown): GatewayError {
  if (!(error instanceof GatewayError)) return new GatewayError('bridge_error', wordsOf(error))
  if (error.code === 'bad_request')
    return new GatewayError('bad_request', `${namesOf(step.fields)}: ${error.message}`)
  if (error.code === 'not_found')
    return new GatewayError('bridge_error', `the bridge no longer knows this login: ${error.message}`)
  return error
}
