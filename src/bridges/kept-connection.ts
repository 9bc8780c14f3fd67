/**
 * A kept-open HTTP connection for repeating a small request. It ends the moment the program at the
 * other end does; separate requests would miss a restart that falls between two of them.
 */
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface KeptAnswer {
  /** HTTP status. */
  status: number
  isJson: boolean
}

/** Longer than the header of any answer to a request without a body. */
const MAX_HEAD_BYTES = 16 * 1024
const END_OF_HEAD = '\r\n\r\n'

export class KeptConnection {
  private readonly socket: Socket
  private readonly question: string
  private asked: PromiseWithResolvers<KeptAnswer> | undefined
  private head = ''
  private endsByItself = false

  /**
   * Connects.
   * @param url for the GET request, http or https
   * @param onEnd called when the connection has ended, on either side
   */
  constructor(url: URL, onEnd: () => void) {
    this.question = `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nAccept: application/json\r\n\r\n`
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
    const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
    this.socket =
      url.protocol === 'https:'
        ? connectTls({ host, port, servername: host })
        : connectPlain({ host, port, noDelay: true })
    this.socket.setEncoding('latin1')
    this.socket.on('data', (text: string) => this.take(text))
    this.socket.on('error', error => this.fail(error))
    this.socket.once('close', () => {
      this.fail(ended())
      onEnd()
    })
  }

  /**
   * True when the server said that it closes the connection after its answer: the end then tells
   * nothing about the program.
   */
  get isSingleUse(): boolean {
    return this.endsByItself
  }

  /** Sends one request at a time. Rejects when the connection fails or ends before the answer. */
  ask(): Promise<KeptAnswer> {
    this.head = ''
    this.asked = Promise.withResolvers()
    const { promise } = this.asked
    if (this.socket.destroyed) this.fail(ended())
    else this.socket.write(this.question)
    return promise
  }

  /** @param error rejects the pending request */
  end(error: Error): void {
    this.fail(error)
    this.socket.destroy()
  }

  private take(text: string): void {
    // The rest of an answer isn't needed.
    if (!this.asked) return
    this.head += text
    const end = this.head.indexOf(END_OF_HEAD)
    if (end === -1 && this.head.length <= MAX_HEAD_BYTES) return
    const answer = end === -1 ? null : answerIn(this.head.slice(0, end))
    // Unparsable bytes may be the previous answer's tail; a new connection starts with an answer.
    this.endsByItself = answer === null || answer.endsConnection
    if (answer) this.asked.resolve(answer)
    else this.end(new Error("what answers there doesn't speak HTTP"))
    this.asked = undefined
  }

  private fail(error: Error): void {
    this.asked?.reject(error)
    this.asked = undefined
  }
}

function ended(): Error {
  return Object.assign(new Error('the connection ended'), { code: 'ECONNRESET' })
}

function answerIn(head: string): (KeptAnswer & { endsConnection: boolean }) | null {
  const [, minor, status] = /^HTTP\/1\.([01]) (\d{3})/.exec(head) ?? []
  if (status === undefined) return null
  const connection = /^connection:[ \t]*(.*)$/im.exec(head)?.[1]?.toLowerCase() ?? ''
  return {
    status: Number(status),
    isJson: /^content-type:[ \t]*application\/json/im.test(head),
    endsConnection: minor === '0' ? !connection.includes('keep-alive') : connection.includes('close'),
  }
}
