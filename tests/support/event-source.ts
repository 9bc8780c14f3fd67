/** Reads server-sent events in order: `await using source = await openEvents(url, token)`. */

export interface SentEvent {
  id: string
  event: string
  data: unknown
}

export class EventReader implements AsyncDisposable {
  private buffer = ''
  private readonly decoder = new TextDecoder()
  /** Comments seen so far. */
  comments = 0
  /** Kept as a browser keeps it: blocks without an event set it, too. */
  lastId = ''
  retryMs: number | null = null

  constructor(
    readonly response: Response,
    private readonly chunks: AsyncIterator<Uint8Array>,
    private readonly controller: AbortController,
  ) {}

  /** @returns the next event; null at the end of the stream */
  async next(): Promise<SentEvent | null> {
    for (;;) {
      const end = this.buffer.indexOf('\n\n')
      if (end === -1) {
        const { value, done } = await this.chunks.next()
        if (done) return null
        this.buffer += this.decoder.decode(value, { stream: true })
        continue
      }
      const block = this.buffer.slice(0, end)
      this.buffer = this.buffer.slice(end + 2)
      const event = this.parse(block)
      if (event) return event
    }
  }

  async take(count: number): Promise<SentEvent[]> {
    const events: SentEvent[] = []
    while (events.length < count) {
      const event = await this.next()
      if (!event) throw new Error(`the stream ended after ${events.length} events`)
      events.push(event)
    }
    return events
  }

  private parse(block: string): SentEvent | null {
    let data: string | undefined
    let event = 'message'
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':')
      const [field, value] = [line.slice(0, colon), line.slice(colon + 1).trimStart()]
      if (field === '') this.comments += 1
      if (field === 'id') this.lastId = value
      if (field === 'event') event = value
      if (field === 'retry') this.retryMs = Number(value)
      if (field === 'data') data = value
    }
    return data === undefined ? null : { id: this.lastId, event, data: JSON.parse(data) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.controller.abort()
  }
}

/** @param url with its query. @param lastEventId sent as a reconnecting client does */
export async function openEvents(url: string, token: string, lastEventId?: string): Promise<EventReader> {
  const controller = new AbortController()
  const response = await fetch(url, {
    signal: controller.signal,
    headers: {
      authorization: `Bearer ${token}`,
      accept: 'text/event-stream',
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
  })
  if (!response.body) throw new Error('the answer has no body')
  return new EventReader(response, response.body[Symbol.asyncIterator](), controller)
}
