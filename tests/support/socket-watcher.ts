/** A WebSocket client that remembers its frames and how it ended. */
import { waitFor } from './wait-for.ts'

export interface SocketWatcher extends AsyncDisposable {
  frames: (string | Buffer)[]
  /** Resolves when either side has closed it. */
  closed: Promise<{ code: number; reason: string }>
  /** @returns the text frame with this index, once received */
  waitForText(index: number, deadlineMs?: number): Promise<string>
  /** Sends the frame as JSON. */
  send(frame: unknown): void
  /** @returns the frame with this index, once received */
  waitForFrame(index: number, deadlineMs?: number): Promise<string | Buffer>
}

export function watchSocket(url: string, headers: Record<string, string> = {}): SocketWatcher {
  const socket = new WebSocket(url, { headers })
  socket.binaryType = 'nodebuffer'
  const frames: (string | Buffer)[] = []
  const { promise: closed, resolve } = Promise.withResolvers<{ code: number; reason: string }>()
  socket.addEventListener('message', ({ data }) => frames.push(data))
  socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }))
  const waitForFrame = (index: number, deadlineMs = 20_000) =>
    waitFor(() => frames[index], { what: `frame ${index} of ${url}`, deadlineMs })
  return {
    frames,
    closed,
    waitForFrame,
    send: frame => socket.send(JSON.stringify(frame)),
    async waitForText(index, deadlineMs) {
      const frame = await waitForFrame(index, deadlineMs)
      if (typeof frame !== 'string') throw new Error(`frame ${index} is no text`)
      return frame
    },
    async [Symbol.asyncDispose]() {
      socket.close()
      await closed
    },
  }
}
