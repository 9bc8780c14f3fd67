/**
 * Who may see how the gateway does: its metrics, and the reasons behind /ready, which name addresses of the inside. Whoever has METRICS_TOKEN;
 * without one, in development, who asks from this machine. Not so in production: behind a proxy on the same machine everybody comes from there.
 */
import { GatewayError } from '../domain/errors.ts'
import { isLoopback } from '../lib/hosts.ts'
import { equalInConstantTime } from '../lib/sealing.ts'
import { challenge } from './errors.ts'

export interface OperatorAccess {
  mayLook(request: Request): boolean
  /** @throws HttpError 401, GatewayError forbidden */
  admit(request: Request): void
}

/** Headers of proxies: whoever they speak for isn't this machine. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

export function createOperatorAccess(options: {
  token: string | undefined
  isProduction: boolean
  /** Undefined: nobody by the network. */
  addressOf(request: Request): string | undefined
}): OperatorAccess {
  const { token, isProduction, addressOf } = options

  function isLocal(request: Request): boolean {
    const address = addressOf(request)
    const isOurs = address === undefined || address === '::1' || isLoopback(address)
    return isOurs && !FORWARDED.some(header => request.headers.has(header))
  }

  function showsToken(request: Request): boolean {
    const shown = /^bearer +(\S+) *$/i.exec(request.headers.get('authorization') ?? '')?.[1]
    return token !== undefined && shown !== undefined && equalInConstantTime(shown, token)
  }

  const mayLook = (request: Request) =>
    token === undefined ? !isProduction && isLocal(request) : showsToken(request)

  return {
    mayLook,
    admit(request) {
      if (mayLook(request)) return
      if (token !== undefined)
        throw challenge('Bearer', 'Expected "Authorization: Bearer" with METRICS_TOKEN')
      throw new GatewayError('forbidden', 'Set METRICS_TOKEN, and send it as "Authorization: Bearer …"')
    },
  }
}
