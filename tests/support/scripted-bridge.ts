/**
 * A bridge's provisioning API over HTTP whose logins follow a test's script. As with bridgev2 0.28,
 * a wrong answer ends a login, unless the script lets it stand.
 */
import { createProvisioningClient, type ProvisioningClient } from '../../src/bridges/provisioning.ts'

type Json = Record<string, unknown>

/** Result of a step that is waited for or answered. */
export type Outcome = { next: Json } | { status: number; errcode: string; error: string; stands?: boolean }

export class ScriptedBridge implements Disposable {
  /** The answer to `POST /login/start/{flow}`. */
  first: Json = {}
  /** Replaces `first` when set. */
  startRefusal: { status: number; errcode: string; error: string } | null = null
  /** Results by step id, from the fields given; any other step waits forever. */
  readonly outcomes = new Map<string, (given: Record<string, string>) => Outcome | Promise<Outcome>>()
  /** `whoami` and start answer only after these. */
  silence: { whoami?: Promise<void>; start?: Promise<void> } = {}
  flows = [{ id: 'qr', name: 'QR', description: '' }]
  logins: Json[] = []
  /** Calls that changed something: path and body. */
  readonly calls: { path: string; given: Json }[] = []

  private readonly server: ReturnType<typeof Bun.serve>
  private standing: Json | null = null

  constructor() {
    this.server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: request => this.answer(request) })
  }

  get url(): string {
    return `http://127.0.0.1:${this.server.port}`
  }

  client(platform = 'wa'): ProvisioningClient & { platform: string } {
    return { platform, ...createProvisioningClient(platform, { baseUrl: this.url }, 'secret') }
  }

  [Symbol.dispose](): void {
    void this.server.stop(true)
  }

  private async answer(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const path =
      url.pathname.replace('/_matrix/provision/v3', '') +
      (url.searchParams.has('login_id') ? `?login_id=${url.searchParams.get('login_id')}` : '')
    if (path === '/whoami') await this.silence.whoami
    if (path === '/whoami') return Response.json({ login_flows: this.flows, logins: this.logins })
    const given = (await request.json().catch(() => ({}))) as Record<string, string>
    const step = /^\/login\/step\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path)
    if (!step || step[3] !== this.standing?.type || step[2] !== this.standing?.step_id) {
      if (step) return this.refuseStep()
      this.calls.push({ path, given })
      if (path.startsWith('/login/start/')) {
        await this.silence.start
        return this.start()
      }
      return refusal(404, 'M_UNRECOGNIZED', 'Unrecognized endpoint')
    }
    this.calls.push({ path, given })
    const outcome = this.outcomes.get(String(step[2]))
    if (!outcome) return new Promise(() => undefined)
    const result = await outcome(given)
    if ('next' in result) return this.stand(result.next)
    if (!result.stands) this.standing = null
    return refusal(result.status, result.errcode, result.error)
  }

  private start(): Response {
    if (!this.startRefusal) return this.stand(this.first)
    const { status, errcode, error } = this.startRefusal
    return refusal(status, errcode, error)
  }

  private stand(step: Json): Response {
    this.standing = step
    return Response.json({ login_id: 'process', instructions: '', ...step })
  }

  private refuseStep(): Response {
    return this.standing
      ? refusal(400, 'M_BAD_STATE', 'Step type does not match')
      : refusal(404, 'M_NOT_FOUND', 'Login not found')
  }
}

export const complete = (loginId: string) => ({
  type: 'complete',
  step_id: 'complete',
  complete: { user_login_id: loginId },
})

export function asks(stepId: string, ...fields: Json[]) {
  return { type: 'user_input', step_id: stepId, user_input: { fields } }
}

export function displays(stepId: string, type: string, data = '') {
  return { type: 'display_and_wait', step_id: stepId, display_and_wait: { type, data } }
}

function refusal(status: number, errcode: string, error: string): Response {
  return Response.json({ errcode, error }, { status })
}
