/** A phone on the network of the test bridge: its messages, and what its owner does. */
import type { Answer, JsonClient } from './json-client.ts'
import { waitFor } from './wait-for.ts'

/** Room features of a chat: the name of a preset, or those that differ from the usual ones. */
export type Features = 'usual' | 'strict' | Record<string, unknown>

/** Long enough for a busy machine. */
const DEADLINE_MS = 30_000

interface TestnetFile {
  mime_type: string
  file_name: string
  size: number
  width?: number
  height?: number
  duration_ms?: number
  /** Base64. */
  data?: string
}

export interface TestnetPoll {
  question: string
  options: string[]
  max_selections?: number
}

/** A message as the network has it. */
export interface TestnetMessage {
  id: string
  from: string
  to?: string
  group?: string
  type: string
  text?: string
  /** The text with its formatting. */
  html?: string
  /** Accounts. */
  mentions?: string[]
  /** Links in the text have no preview. */
  no_preview?: boolean
  media?: TestnetFile
  location?: { latitude: number; longitude: number; name?: string }
  poll?: TestnetPoll
  /** Chosen options, by voter. */
  votes?: Record<string, string[]>
  reply_to?: string
  /** RFC 3339. */
  timestamp: string
  edited?: boolean
  deleted?: boolean
  through: 'phone' | 'bridge'
  reactions?: Record<string, string>
  read?: Record<string, string>
}

/** A message from a phone, to an account or to a group. */
export interface TestnetDraft {
  to?: string
  group?: string
  type?: 'text' | 'image' | 'video' | 'gif' | 'audio' | 'voice' | 'file' | 'sticker' | 'location' | 'poll'
  /** An account that is mentioned stands in it as @ and its number. */
  text?: string
  html?: string
  /** Accounts, by number or id. */
  mentions?: string[]
  media?: {
    data: Uint8Array
    mime_type?: string
    file_name?: string
    width?: number
    height?: number
    duration_ms?: number
  }
  location?: { latitude: number; longitude: number; name?: string }
  poll?: TestnetPoll
  reply_to?: string
  /** RFC 3339; now, by default. */
  timestamp?: string
}

/** Something that a phone was told. */
export interface TestnetEvent {
  seq: number
  kind: string
  /** Account. */
  by: string
  message?: TestnetMessage
  emoji?: string
  receipt?: 'delivered' | 'read'
  typing?: boolean
  disappear_s?: number
}

/** The network's answer to a message of a linked device. */
export interface Outcome {
  outcome: 'success' | 'retriable' | 'permanent' | 'hold'
  reason?: string
  message?: string
  times?: number
}

export interface ConnectionChange {
  state: 'connected' | 'connecting' | 'disconnected' | 'error' | 'logged_out'
  reason?: string
  message?: string
}

/** Changes of a phone; what isn't given stays. */
export interface PhoneChange {
  name?: string
  contacts?: string[]
  chats_by_number?: boolean
  features?: Features
  /** Until when the linked device may write to nobody new, RFC 3339. */
  timelock_until?: string
}

/** A phone on the network. */
export class TestnetPhone {
  private readonly path: string

  constructor(
    private readonly control: JsonClient,
    /** The account's id on the network. */
    readonly id: string,
    /** In digits. */
    readonly number: string,
    /** Code the network sends to the phone when somebody logs in with its number. */
    readonly loginCode: string,
    readonly cookies: Record<string, string>,
    /** Digits of the hidden id; null without one. */
    readonly lid: string | null,
  ) {
    this.path = `/accounts/${encodeURIComponent(id)}`
  }

  async send(draft: TestnetDraft): Promise<TestnetMessage> {
    const { media, ...rest } = draft
    const file = media && { ...media, data: Buffer.from(media.data).toString('base64') }
    return taken(
      await this.control.post<TestnetMessage>(`${this.path}/messages`, {
        ...rest,
        ...(file && { media: file }),
      }),
    )
  }

  /** Messages, oldest first. @param chat an account or a group: only its messages */
  async messages(chat?: string): Promise<TestnetMessage[]> {
    const query = chat === undefined ? '' : `?chat=${encodeURIComponent(chat)}`
    return taken(await this.control.get<TestnetMessage[]>(`${this.path}/messages${query}`))
  }

  /** Texts that others wrote to the phone, oldest first. */
  async receivedTexts(): Promise<string[]> {
    return (await this.messages()).filter(({ from }) => from !== this.id).map(({ text }) => text ?? '')
  }

  waitForMessage(
    wanted: (message: TestnetMessage) => boolean,
    what = 'a message on the phone',
  ): Promise<TestnetMessage> {
    return waitFor(async () => (await this.messages()).find(wanted), {
      what: `${what} (${this.number})`,
      deadlineMs: DEADLINE_MS,
    })
  }

  waitForText(text: string): Promise<TestnetMessage> {
    return this.waitForMessage(message => message.text === text, `"${text}"`)
  }

  /** Scans or types the code that a device shows. */
  async confirm(code: string): Promise<void> {
    taken(await this.control.post(`${this.path}/pair`, { code }))
  }

  /** Refuses to link the device that shows the code. */
  async deny(code: string): Promise<void> {
    taken(await this.control.post(`${this.path}/pair`, { code, deny: true }))
  }

  /** An empty emoji removes the reaction. */
  async react(message: string, emoji: string): Promise<void> {
    taken(await this.control.post(`${this.path}/react`, { message, emoji }))
  }

  async edit(
    message: string,
    text: string,
    more: Pick<TestnetDraft, 'html' | 'mentions'> = {},
  ): Promise<void> {
    taken(await this.control.post(`${this.path}/edit`, { message, text, ...more }))
  }

  /** Shows that the phone's owner writes, or no longer. @param chat an account or a group */
  async typing(chat: string, typing: boolean): Promise<void> {
    taken(await this.control.post(`${this.path}/typing`, { chat, typing }))
  }

  /** Everything the phone was told, oldest first. */
  async events(): Promise<TestnetEvent[]> {
    return taken(await this.control.get<TestnetEvent[]>(`${this.path}/events`))
  }

  /** Lets messages of a chat (an account or a group) disappear after seconds; 0: never. */
  async setTimer(chat: string, seconds: number): Promise<void> {
    taken(await this.control.put(`${this.path}/timer`, { chat, disappear_s: seconds }))
  }

  /** After how many seconds messages of a chat disappear; 0: never. */
  async timer(chat: string): Promise<number> {
    const path = `${this.path}/timer?chat=${encodeURIComponent(chat)}`
    return taken(await this.control.get<{ disappear_s: number }>(path)).disappear_s
  }

  /** Accounts whose direct messages the network keeps from the phone. */
  async blocked(): Promise<string[]> {
    return taken(await this.control.get<{ blocked?: string[] }>(this.path)).blocked ?? []
  }

  /** Deletes the message for everyone. */
  async delete(message: string): Promise<void> {
    taken(await this.control.post(`${this.path}/delete`, { message }))
  }

  /** Chooses options of a poll instead of those before; none takes the vote back. */
  async vote(message: string, ...options: string[]): Promise<void> {
    taken(await this.control.post(`${this.path}/vote`, { message, options }))
  }

  /** Calls, and nobody answers. */
  async call(call: { to?: string; group?: string; video?: boolean }): Promise<void> {
    taken(await this.control.post(`${this.path}/call`, call))
  }

  async change(change: PhoneChange): Promise<void> {
    taken(await this.control.patch(this.path, change))
  }

  /** The network moves all direct chats with the phone from its number to its hidden id. */
  async moveChats(): Promise<void> {
    taken(await this.control.post(`${this.path}/move-chats`))
  }

  /** Uses the phone's passkey. @returns the answer of a browser's navigator.credentials.get */
  async passkey(publicKey: unknown): Promise<Record<string, unknown>> {
    return taken(await this.control.post<Record<string, unknown>>(`${this.path}/passkey`, publicKey))
  }

  /** A message as the network has it. */
  async message(id: string): Promise<TestnetMessage> {
    return taken(await this.control.get<TestnetMessage>(`/messages/${encodeURIComponent(id)}`))
  }

  async receipt(message: string, kind: 'delivered' | 'read'): Promise<void> {
    taken(await this.control.post(`${this.path}/receipt`, { message, kind }))
  }

  /** Changes the network's connection to the linked device. */
  async setConnection(change: ConnectionChange): Promise<void> {
    taken(await this.control.put(`${this.path}/connection`, change))
  }

  /** Sets results of the linked device's next messages; later messages succeed again. */
  async setOutcomes(...outcomes: Outcome[]): Promise<void> {
    taken(await this.control.put(`${this.path}/outcomes`, outcomes))
  }

  /** Waits until the network holds a message of the linked device back. */
  held(): Promise<TestnetMessage> {
    return waitFor(async () => taken(await this.control.get<TestnetMessage[]>(`${this.path}/held`)).at(0), {
      what: `a message of ${this.number} that is held`,
      deadlineMs: DEADLINE_MS,
    })
  }

  /** Lets a held message go on. */
  async release(message: string): Promise<void> {
    taken(await this.control.post(`/messages/${encodeURIComponent(message)}/release`, {}))
  }

  /** The linked device; null when there is none. */
  async device(): Promise<{ attached: boolean } | null> {
    return taken(await this.control.get<{ device: { attached: boolean } | null }>(this.path)).device
  }
}

/** The bytes of a message's file. */
export function bytesOfMessage({ media }: TestnetMessage): Buffer {
  return Buffer.from(media?.data ?? '', 'base64')
}

/** @throws Error when the test bridge refused the call */
export function taken<T>({ status, body }: Answer<T>): T {
  if (status >= 200 && status < 300) return body
  throw new Error(`the test bridge answered ${status}: ${JSON.stringify(body)}`)
}
