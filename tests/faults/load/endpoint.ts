/**
 * A webhook endpoint that misbehaves on command. It speaks HTTP by hand, since no server library
 * lets one break off in the middle of an answer.
 */
import type { Socket } from 'bun'
import { Webhook } from 'standardwebhooks'
import type { MessagePayload } from '../../../src/domain/events.ts'
import { digest } from './files.ts'

export const MISBEHAVIOURS = [
  'slow',
  'hanging',
  'resetting',
  '500',
  '429 with Retry-After',
  '410',
  'redirecting',
  'closing early',
  'truncated answer',
] as const
export type Behaviour = 'well' | (typeof MISBEHAVIOURS)[number]

/** An understood request. */
export interface Received {
  webhookId: string
  eventId: string
  text: string
  /** The file's SHA-256; null without a file. */
  file: string | null
  /** True when it was answered 200, in whole. */
  acknowledged: boolean
}

/** An endpoint, and its owner's token and webhook id. */
export interface HookedEndpoint {
  endpoint: FaultyEndpoint
  token: string
  webhookId: number
}

const SLOW_MS = 700
/** Closes connections idle for this long, as Node's server does. */
const KEEP_ALIVE_S = 5
const RETRY_AFTER_S = 2

export class FaultyEndpoint implements AsyncDisposable {
  behaviour: Behaviour = 'well'
  readonly received: Received[] = []
  /** Requests with a wrong signature, or unreadable ones. */
  readonly wrong: string[] = []
  /** Number of requests met in each misbehaviour. */
  readonly met: Record<string, number> = {}
  private secret = ''
  private readonly server = Bun.listen<Connection>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open: socket => {
        socket.data = { buffered: Buffer.alloc(0) }
        socket.timeout(KEEP_ALIVE_S)
      },
      timeout: socket => {
        socket.end()
      },
      data: (socket, chunk) => this.take(socket, chunk),
      drain: () => undefined,
    },
  })

  constructor(readonly name: string) {}

  get url(): string {
    return `http://127.0.0.1:${this.server.port}/${this.name}`
  }

  /** @param secret whsec_…, from the gateway's answer */
  expectSecret(secret: string): void {
    this.secret = secret
  }

  private take(socket: Socket<Connection>, chunk: Buffer): void {
    const { data } = socket
    socket.timeout(KEEP_ALIVE_S)
    if (this.behaviour === 'closing early') {
      this.count('closing early')
      socket.terminate()
      return
    }
    data.buffered = Buffer.concat([data.buffered, chunk])
    const end = data.buffered.indexOf('\r\n\r\n')
    if (end === -1) return
    const head = data.buffered.subarray(0, end).toString('latin1')
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
    if (data.buffered.length < end + 4 + length) return
    const body = data.buffered.subarray(end + 4, end + 4 + length).toString('utf8')
    data.buffered = data.buffered.subarray(end + 4 + length)
    void this.answer(socket, this.read(head, body))
  }

  private async answer(socket: Socket<Connection>, received: Received | null): Promise<void> {
    const { behaviour } = this
    if (behaviour !== 'well') this.count(behaviour)
    switch (behaviour) {
      case 'hanging':
        return
      case 'resetting':
        socket.terminate()
        return
      case '500':
        return reply(socket, '500 Internal Server Error', 'out of order')
      case '429 with Retry-After':
        return reply(socket, '429 Too Many Requests', 'slower', `Retry-After: ${RETRY_AFTER_S}\r\n`)
      case '410':
        return reply(socket, '410 Gone', 'gone')
      case 'redirecting':
        return reply(socket, '302 Found', '', `Location: ${this.url}/elsewhere\r\n`)
      case 'truncated answer':
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf an ans')
        socket.end()
        return
      case 'slow':
        await Bun.sleep(SLOW_MS)
        break
      default:
    }
    if (received) received.acknowledged = true
    reply(socket, '200 OK', 'ok')
  }

  private read(head: string, body: string): Received | null {
    const header = (name: string) => new RegExp(`^${name}: *(.*)$`, 'im').exec(head)?.[1]?.trim() ?? ''
    if (!head.startsWith(`POST /${this.name} `)) {
      this.wrong.push(`a request that nobody asked for: ${head.split('\r\n')[0]}`)
      return null
    }
    const [id, timestamp] = [header('webhook-id'), header('webhook-timestamp')]
    const expected = new Webhook(this.secret).sign(id, new Date(Number(timestamp) * 1000), body)
    if (!header('webhook-signature').split(' ').includes(expected)) {
      this.wrong.push(`${id}: the signature is wrong`)
      return null
    }
    const payload = JSON.parse(body) as MessagePayload
    // Other events, such as a device's states, aren't counted.
    if (payload.event !== 'message.received') return null
    const content = payload.media?.content
    const received: Received = {
      webhookId: id,
      eventId: payload.id,
      text: payload.message,
      file: content ? digest(Buffer.from(content, 'base64')) : null,
      acknowledged: false,
    }
    this.received.push(received)
    return received
  }

  private count(behaviour: Behaviour): void {
    this.met[behaviour] = (this.met[behaviour] ?? 0) + 1
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.stop(true)
  }
}

interface Connection {
  buffered: Buffer
}

function reply(socket: Socket<Connection>, status: string, body: string, headers = ''): void {
  socket.write(`HTTP/1.1 ${status}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`)
}
