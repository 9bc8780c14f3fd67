/**
 * A keep-alive HTTP/1.1 connection for one request at a time. A load generator must cost less than
 * the program it measures, and `fetch` costs more than a request costs the program.
 */
import type { Socket } from 'bun'
import { type HttpAnswer, ResponseReader } from './http-response.ts'

interface Waiting {
  resolve(answer: HttpAnswer): void
  reject(error: unknown): void
}

export class HttpConnection {
  private readonly reader = new ResponseReader()
  private socket: Socket<undefined> | undefined
  private waiting: Waiting | undefined
  private unsent: Buffer | undefined

  private constructor(
    private readonly url: URL,
    private readonly fixedHead: string,
  ) {}

  /** @param headers of every request, beside Host and Content-Length */
  static async open(url: string, headers: Record<string, string>): Promise<HttpConnection> {
    const target = new URL(url)
    const lines = Object.entries({ host: target.host, ...headers }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    )
    const connection = new HttpConnection(target, ` HTTP/1.1\r\n${lines.join('')}`)
    await connection.connect()
    return connection
  }

  private async connect(): Promise<void> {
    const { hostname, port } = this.url
    this.socket = await Bun.connect<undefined>({
      hostname,
      port: Number(port),
      socket: {
        data: (_socket, chunk) => this.onData(chunk),
        drain: () => this.flush(),
        close: () => this.onEnd(new Error('the connection was closed')),
        error: (_socket, error) => this.onEnd(error),
      },
    })
  }

  async request(method: string, path: string, body: string): Promise<HttpAnswer> {
    if (this.waiting) throw new Error('a request is under way')
    // The server may have closed an idle connection.
    if (!this.socket) await this.connect()
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject }
      const length = `content-length: ${Buffer.byteLength(body)}\r\n\r\n`
      this.unsent = Buffer.from(`${method} ${path}${this.fixedHead}${length}${body}`)
      this.flush()
    })
  }

  private flush(): void {
    if (!this.unsent || !this.socket) return
    const written = this.socket.write(this.unsent)
    if (written < 0) this.onEnd(new Error('the connection is closed'))
    this.unsent = written < this.unsent.length ? this.unsent.subarray(Math.max(0, written)) : undefined
  }

  private onData(chunk: Buffer): void {
    try {
      const answer = this.reader.push(chunk)
      if (!answer) return
      const { waiting } = this
      this.waiting = undefined
      waiting?.resolve(answer)
    } catch (error) {
      this.fail(error)
    }
  }

  private onEnd(error: unknown): void {
    this.socket = undefined
    this.fail(error)
  }

  private fail(error: unknown): void {
    const { waiting } = this
    this.waiting = undefined
    waiting?.reject(error)
  }
}
