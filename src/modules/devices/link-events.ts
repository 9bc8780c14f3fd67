/** Shows a bridge's login steps to those who follow a link. */
import { GatewayError } from '../../domain/errors.ts'
import type { LoginField, LoginStep } from '../../domain/login-steps.ts'
import type { LinkEnd, LinkEvent, LinkField, LinkState } from '../../domain/views/link.ts'

export function eventOf(step: Exclude<LoginStep, { kind: 'complete' }>): LinkEvent {
  const { instructions } = step
  switch (step.kind) {
    case 'input': {
      const attachments = step.attachments.map(({ fileName, mimeType, content }) => ({
        file_name: fileName,
        mime_type: mimeType,
        content,
      }))
      return { type: 'input', fields: step.fields.map(fieldView), attachments, instructions }
    }
    case 'cookies':
      return {
        type: 'cookies',
        url: step.page.url,
        user_agent: step.page.userAgent,
        extract_js: step.page.extractJs,
        wait_for_url_pattern: step.page.waitForUrlPattern,
        fields: step.fields.map(field => ({ ...fieldView(field), sources: sourcesView(field) })),
        instructions,
      }
    case 'display':
      return displayEvent(step)
  }
}

function displayEvent({ display, data, imageUrl, instructions }: LoginStep & { kind: 'display' }): LinkEvent {
  switch (display) {
    case 'qr':
      return { type: 'qr', payload: data, instructions }
    case 'code':
      return { type: 'code', code: data, instructions }
    case 'emoji':
      return { type: 'emoji', emoji: data, image_url: imageUrl, instructions }
    case 'nothing':
      return { type: 'wait', instructions }
  }
}

function fieldView({
  id,
  type,
  name,
  description,
  required,
  options,
  pattern,
  defaultValue,
}: LoginField): LinkField {
  return { id, type, name, description, required, options, pattern, default_value: defaultValue }
}

function sourcesView({ sources }: LoginField) {
  return sources.map(({ type, name, cookieDomain, requestUrlRegex }) => ({
    type,
    name,
    cookie_domain: cookieDomain,
    request_url_regex: requestUrlRegex,
  }))
}

const STATES: Record<Exclude<LinkEvent['type'], 'error'>, LinkState> = {
  qr: 'waiting_for_scan',
  code: 'waiting_for_code',
  emoji: 'waiting_for_code',
  wait: 'waiting',
  input: 'waiting_for_input',
  cookies: 'waiting_for_input',
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
