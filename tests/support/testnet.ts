/**
 * The network of the test bridge (tests/e2e/bridge): phones with messages, groups, and actions of
 * the network on linked devices, all through the bridge program's control port.
 */
import { type Answer, type JsonClient, jsonClient } from './json-client.ts'
import { waitFor } from './wait-for.ts'

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

/** A message as the network has it. */
export interface TestnetMessage {
  id: string
  from: string
  to?: string
  group?: string
  type: string
  text?: string
  media?: TestnetFile
  location?: { latitude: number; longitude: number; name?: string }
  reply_to?: string
  through: 'phone' | 'bridge'
  reactions?: Record<string, string>
  read?: Record<string, string>
}

/** A message from a phone, to an account or to a group. */
export interface TestnetDraft {
  to?: string
  group?: string
  type?: 'text' | 'image' | 'video' | 'audio' | 'voice' | 'file' | 'sticker' | 'location'
  text?: string
  media?: {
    data: Uint8Array
    mime_type?: string
    file_name?: string
    width?: number
    height?: number
    duration_ms?: number
  }
  location?: { latitude: number; longitude: number; name?: string }
  reply_to?: string
}

export interface TestnetGroup {
  id: string
  name: string
  members: string[]
  invite_link: string
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

export interface PhoneOptions {
  name?: string
  /** Accounts in the phone's address book, by number or id. */
  contacts?: string[]
  password?: string
  /** Receipts the phone sends by itself, `delivered` by default. */
  receipts?: 'delivered' | 'read' | ''
  /** The phone's id on the network isn't its number. */
  opaque?: boolean
}

export class Testnet {
  readonly control: JsonClient
  private numbers = 0

  /** @param url of the control port, without a trailing slash */
  constructor(url: string) {
    this.control = jsonClient(url)
  }

  /** A phone that no other test uses. */
  async newPhone({ name, contacts = [], password, receipts = 'delivered', opaque }: PhoneOptions = {}) {
    const number = `49152${String(Math.floor(Math.random() * 1e6)).padStart(6, '0')}${this.numbers++}`
    const account = taken(
      await this.control.post<{ id: string; login_code: string; cookies: Record<string, string> }>(
        '/accounts',
        {
          phone: number,
          name: name ?? `Person ${this.numbers}`,
          contacts,
          auto_receipts: receipts,
          ...(password === undefined ? {} : { password }),
          ...(opaque === undefined ? {} : { opaque }),
        },
      ),
    )
    return new TestnetPhone(this.control, account.id, number, account.login_code, account.cookies)
  }

  async newGroup(name: string, owner: TestnetPhone, members: TestnetPhone[] = []): Promise<TestnetGroup> {
    const ids = members.map(({ id }) => id)
    return taken(await this.control.post<TestnetGroup>('/groups', { name, owner: owner.id, members: ids }))
  }

  async group(id: string): Promise<TestnetGroup> {
    return taken(await this.control.get<TestnetGroup>(`/groups/${encodeURIComponent(id)}`))
  }

  /** @param change such as `{ down: true }` or `{ qr_count: 2 }`; for later events */
  async change(change: { down?: boolean; qr_count?: number; qr_interval_ms?: number }): Promise<void> {
    taken(await this.control.patch('/network', change))
  }
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

  async edit(message: string, text: string): Promise<void> {
    taken(await this.control.post(`${this.path}/edit`, { message, text }))
  }

  /** Deletes the message for everyone. */
  async delete(message: string): Promise<void> {
    taken(await this.control.post(`${this.path}/delete`, { message }))
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

function taken<T>({ status, body }: Answer<T>): T {
  if (status >= 200 && status < 300) return body
  throw new Error(`the test bridge answered ${status}: ${JSON.stringify(body)}`)
}
