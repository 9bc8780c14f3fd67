/** `meshgate healthcheck`: asks the running gateway's /health, for images without curl. */
import { messageOf } from '../domain/errors.ts'
import { reachableHost } from '../lib/hosts.ts'
import { CommandError, loadConfig, type Terminal } from './terminal.ts'

const TIMEOUT_MS = 3_000

/** @throws CommandError when it doesn't answer or isn't well */
export async function healthcheck(terminal: Terminal): Promise<void> {
  const { http } = loadConfig(terminal).config
  const url = `${http.tls ? 'https' : 'http'}://${reachableHost(http.host)}:${http.port}/health`
  const response = await fetch(url, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
    // The certificate is for the public name, not for the loopback address.
    tls: { rejectUnauthorized: false },
  }).catch(error => {
    throw new CommandError(`${url} doesn't answer: ${messageOf(error)}`)
  })
  if (!response.ok) throw new CommandError(`${url} answers ${response.status}`)
  terminal.print('ok')
}
