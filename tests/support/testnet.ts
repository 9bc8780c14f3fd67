/**
 * The network of the test bridge (tests/e2e/bridge), as its people have it: phones with messages, groups, and what the network does to the devices
 * that are linked to them. Everything goes through the bridge program's control port.
 */
import { type Answer, type JsonClient, jsonClient } from './json-client.ts'
import { waitFor } from './wait-for.ts'

/** Long enough for a machine that does much else. */
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

/** What somebody sends from a phone: to an account or to a group. */
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

/** What the network answers to messages of a linked device, one after the other. */
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
  /** Accounts in its address book, by number or id. */
  contacts?: string[]
  password?: string
  /** What it answers to messages by itself; by default it says that they were delivered. */
  receipts?: 'delivered' | 'read' | ''
  /** Its id on the network isn't its number. */
  opaque?: boolean
}

export class Testnet {
  readonly control: JsonClient
  private numbers = 0

  /** @param url of the control port, without a trailing slash */
  constructor(url: string) {
    this.control = jsonClient(url)
  }

  /** A phone that no other test has. */
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

  /** @param change such as `{ down: true }` or `{ qr_count: 2, qr_interval_ms: 500 }`; it counts for what begins afterwards */
  async change(change: { down?: boolean; qr_count?: number; qr_interval_ms?: number }): Promise<void> {
    taken(await this.control.patch('/network', change))
  }
}

/** A phone in the hand of its owner. */
export class TestnetPhone {
  private readonly path: string

  constructor(
    private readonly control: JsonClient,
    /** The account's id on the network. */
    readonly id: string,
    /** Its number, in digits. */
    readonly number: string,
    /** What the network sends to it when somebody logs in with its number. */
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

  /** All that it has, oldest first. @param chat an account or a group: only what was said there */
  async messages(chat?: string): Promise<TestnetMessage[]> {
    const query = chat === undefined ? '' : `?chat=${encodeURIComponent(chat)}`
    return taken(await this.control.get<TestnetMessage[]>(`${this.path}/messages${query}`))
  }

  /** Texts that others wrote to it, oldest first. */
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

  /** Refuses the device that shows the code. */
  async deny(code: string): Promise<void> {
    taken(await this.control.post(`${this.path}/pair`, { code, deny: true }))
  }

  /** An empty emoji takes the reaction away. */
  async react(message: string, emoji: string): Promise<void> {
    taken(await this.control.post(`${this.path}/react`, { message, emoji }))
  }

  async edit(message: string, text: string): Promise<void> {
    taken(await this.control.post(`${this.path}/edit`, { message, text }))
  }

  /** For everyone. */
  async delete(message: string): Promise<void> {
    taken(await this.control.post(`${this.path}/delete`, { message }))
  }

  async receipt(message: string, kind: 'delivered' | 'read'): Promise<void> {
    taken(await this.control.post(`${this.path}/receipt`, { message, kind }))
  }

  /** What the network does to the device that is linked to this phone. */
  async setConnection(change: ConnectionChange): Promise<void> {
    taken(await this.control.put(`${this.path}/connection`, change))
  }

  /** What becomes of the next messages of the linked device; afterwards they succeed again. */
  async setOutcomes(...outcomes: Outcome[]): Promise<void> {
    taken(await this.control.put(`${this.path}/outcomes`, outcomes))
  }

  /** Waits until a message of the linked device is held back. */
  held(): Promise<TestnetMessage> {
    return waitFor(async () => taken(await this.control.get<TestnetMessage[]>(`${this.path}/held`)).at(0), {
      what: `a message of ${this.number} that is held`,
      deadlineMs: DEADLINE_MS,
    })
  }

  /** Lets a message that was held go on. */
  async release(message: string): Promise<void> {
    taken(await this.control.post(`/messages/${encodeURIComponent(message)}/release`, {}))
  }

  /** The device that is linked to it, null when none is. */
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
