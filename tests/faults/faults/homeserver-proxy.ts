/** Stands between gateway and homeserver, and plays the worst of networks and homeservers. */
import { connect, createServer, type Socket } from 'node:net'

export const HOMESERVER_TROUBLES = ['down', 'slow', '500', 'dropping connections'] as const
export type HomeserverMode = 'well' | (typeof HOMESERVER_TROUBLES)[number]

const SLOW_MS = 1_500
const FAILURE =
  'HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 45\r\nConnection: close\r\n\r\n{"errcode":"M_UNKNOWN","error":"on purpose!"}'

export class HomeserverProxy implements AsyncDisposable {
  mode: HomeserverMode = 'well'
  /** Number of requests met in each mode. */
  readonly met: Record<string, number> = {}
  private readonly clients = new Set<Socket>()
  private readonly server = createServer(client => this.serve(client))

  private constructor(private readonly target: URL) {}

  static async before(homeserverUrl: string): Promise<HomeserverProxy> {
    const proxy = new HomeserverProxy(new URL(homeserverUrl))
    await new Promise<void>(resolve => proxy.server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    const address = this.server.address()
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  }

  /** Going down also breaks open connections off. */
  begin(mode: HomeserverMode): void {
    this.mode = mode
    if (mode === 'down') for (const client of this.clients) client.destroy()
  }

  private serve(client: Socket): void {
    if (this.mode === 'down') {
      this.count()
      client.destroy()
      return
    }
    this.clients.add(client)
    const upstream = connect(Number(this.target.port), this.target.hostname)
    client.on('data', chunk => {
      if (this.mode === '500') {
        this.count()
        client.end(FAILURE)
        upstream.destroy()
      } else upstream.write(chunk)
    })
    // Keeps the order when a slow chunk is followed by fast ones.
    let answered = Promise.resolve()
    upstream.on('data', chunk => {
      answered = answered.then(() => this.answer(client, Buffer.from(chunk)))
    })
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => {
        this.clients.delete(client)
        other.destroy()
      })
    }
  }

  private async answer(client: Socket, chunk: Uint8Array): Promise<void> {
    if (this.mode === 'dropping connections') {
      // The homeserver has done its work, but its answer gets lost.
      this.count()
      client.destroy()
      return
    }
    if (this.mode === 'slow') {
      this.count()
      await Bun.sleep(SLOW_MS)
    }
    if (!client.destroyed) client.write(chunk)
  }

  private count(): void {
    this.met[this.mode] = (this.met[this.mode] ?? 0) + 1
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.clients) client.destroy()
    this.server.close()
  }
}
