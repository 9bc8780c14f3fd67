/** The calls of the API that `meshgate link` needs. */
import { z } from 'zod'
import type { LinkEvent, LinkView } from '../../domain/views/link.ts'
import type { TokenView } from '../../domain/views/token.ts'
import { systemClock } from '../../lib/clock.ts'
import { connectionProblem } from '../../lib/connection-problem.ts'
import { reachableHost } from '../../lib/hosts.ts'
import { jsonOrNull } from '../../lib/json-or-null.ts'
import { Nudge } from '../../runtime/worker.ts'
import { CommandError, loadConfig, type Terminal } from '../terminal.ts'

/** A token with an account of its own. */
export interface NewToken {
  token: string
  /** Path at which it is deleted; null at a gateway that doesn't tell. */
  path: string | null
}

/** As POST /devices answers. */
export interface StartedLink {
  link_url: string
  link: LinkView
}

export type GatewayClient = ReturnType<typeof gatewayClient>

/** The connection wakes it; this is for a lost wake-up. */
const LOOK_MS = 5_000
/** Longer than the gateway takes for any answer about a login, in milliseconds. */
const TIMEOUT_MS = 60_000

/** @param url of the gateway; undefined: the one that runs here */
export function gatewayClient(terminal: Terminal, url: string | undefined) {
  const { config, secrets } = loadConfig(terminal)
  const { http } = config
  const base = url ?? `${http.tls ? 'https' : 'http'}://${reachableHost(http.host)}:${http.port}`

  // The certificate is for the public name, not for the loopback address.
  const tls = { rejectUnauthorized: url !== undefined }

  async function call<T>(method: string, path: string, authorization: string, body?: object): Promise<T> {
    return (await ask(method, path, authorization, body)).json() as Promise<T>
  }

  async function ask(method: string, path: string, authorization: string, body?: object): Promise<Response> {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: { authorization, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      tls,
    }).catch(error => {
      throw new CommandError(
        `the gateway at ${base} doesn't answer (${connectionProblem(error)}): start it with meshgate, or give its address with --url`,
      )
    })
    if (response.ok) return response
    const said = refusal.safeParse(jsonOrNull(await response.text()))
    throw new CommandError(said.success ? said.data.error : `${base}${path} answered ${response.status}`)
  }

  const { clientId, clientSecret } = secrets
  const basic = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`
  const bearer = (token: string) => `Bearer ${token}`
  const linkPath = (id: string) => `/api/v1/devices/links/${id}`

  return {
    async newToken(): Promise<NewToken> {
      const made = await ask('POST', '/api/v1/tokens', basic, {})
      const { token } = (await made.json()) as { token: string }
      return { token, path: made.headers.get('location') }
    },

    /**
     * Takes a token back that came to no use.
     * @returns false for the admin's: a later one wouldn't be the host
     */
    async removeToken({ path }: NewToken): Promise<boolean> {
      const { data } = await call<{ data: TokenView[] }>('GET', '/api/v1/tokens?limit=100', basic)
      const mine = data.find(({ id }) => path?.endsWith(`/${id}`))
      if (!path || !mine || mine.is_admin) return false
      await call('DELETE', path, basic)
      return true
    },

    start: (token: string, request: object) =>
      call<StartedLink>('POST', '/api/v1/devices', bearer(token), request),

    answer: (token: string, id: string, inputs: Record<string, string>) =>
      call<LinkView>('POST', linkPath(id), bearer(token), { inputs }),

    step: async (token: string, id: string) =>
      (await call<LinkView>('GET', linkPath(id), bearer(token))).step,

    cancel: (token: string, id: string) => call('DELETE', linkPath(id), bearer(token)),

    /** The newest link's steps as they come; ends when the gateway closes the connection. */
    async *follow(token: string, platform: string): AsyncGenerator<LinkEvent> {
      const query = `format=json&platform=${encodeURIComponent(platform)}`
      const socket = new WebSocket(`${base.replace(/^http/, 'ws')}/api/v1/devices/qr-code?${query}`, {
        headers: { authorization: bearer(token) },
        tls,
      })
      const steps: LinkEvent[] = []
      const changed = new Nudge()
      let isOpen = true
      socket.onmessage = ({ data }) => {
        steps.push(JSON.parse(String(data)) as LinkEvent)
        changed.nudge()
      }
      socket.onclose = () => {
        isOpen = false
        changed.nudge()
      }
      try {
        while (isOpen || steps.length > 0) {
          const step = steps.shift()
          if (step) yield step
          else await changed.wait(systemClock, LOOK_MS, new AbortController().signal)
        }
      } finally {
        socket.close()
      }
    },
  }
}

const refusal = z.object({ error: z.string() })
