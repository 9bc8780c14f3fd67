/**
 * The network of the test bridge (tests/e2e/bridge): phones, groups and the network as a whole, all
 * through the bridge program's control port.
 */
import { type JsonClient, jsonClient } from './json-client.ts'
import { type Features, TestnetPhone, taken } from './testnet-phone.ts'

/** The chat of status posts, which all see who have the author in their address book. */
export const STATUS_BROADCAST = 'status@broadcast'

export interface GroupOptions {
  /** Only the owner writes. */
  channel?: boolean
  /** Members go by their numbers, also those with a LID. */
  by_number?: boolean
  features?: Features
}

export interface TestnetGroup {
  id: string
  name: string
  topic?: string
  /** Base64. */
  avatar?: string
  owner: string
  members: string[]
  admins?: string[]
  invite_link: string
}

/** Changes of a group; accounts by number or id. */
export interface GroupChange {
  name?: string
  topic?: string
  /** Base64. */
  avatar?: string
  add?: string[]
  remove?: string[]
  promote?: string[]
  demote?: string[]
  features?: Features
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
  /** The phone has a hidden id, by which others chat with it. */
  lid?: boolean
  /** They still do by its number. */
  chats_by_number?: boolean
  /** Asked for at the end of a login by QR or pairing code. */
  passkey?: boolean
  /** Room features of direct chats with the phone. */
  features?: Features
}

export class Testnet {
  readonly control: JsonClient
  private numbers = 0

  /** @param url of the control port, without a trailing slash */
  constructor(url: string) {
    this.control = jsonClient(url)
  }

  /** A phone that no other test uses. */
  async newPhone({ name, contacts = [], receipts = 'delivered', ...options }: PhoneOptions = {}) {
    const number = `49152${String(Math.floor(Math.random() * 1e6)).padStart(6, '0')}${this.numbers++}`
    const account = taken(
      await this.control.post<{
        id: string
        lid?: string
        login_code: string
        cookies: Record<string, string>
      }>('/accounts', {
        phone: number,
        name: name ?? `Person ${this.numbers}`,
        contacts,
        auto_receipts: receipts,
        ...options,
      }),
    )
    const { id, login_code, cookies, lid } = account
    return new TestnetPhone(this.control, id, number, login_code, cookies, lid ?? null)
  }

  /** Logins that show a code now, oldest first. */
  async pairings(): Promise<{ phone?: string; code: string }[]> {
    return taken(await this.control.get<{ phone?: string; code: string }[]>('/pairings'))
  }

  async newGroup(
    name: string,
    owner: TestnetPhone,
    members: TestnetPhone[] = [],
    options: GroupOptions = {},
  ): Promise<TestnetGroup> {
    const ids = members.map(({ id }) => id)
    const group = { name, owner: owner.id, members: ids, ...options }
    return taken(await this.control.post<TestnetGroup>('/groups', group))
  }

  /** In the name of its owner. */
  async changeGroup(id: string, change: GroupChange): Promise<void> {
    taken(await this.control.patch(`/groups/${encodeURIComponent(id)}`, change))
  }

  async group(id: string): Promise<TestnetGroup> {
    return taken(await this.control.get<TestnetGroup>(`/groups/${encodeURIComponent(id)}`))
  }

  /** @param change such as `{ down: true }` or `{ qr_count: 2 }`; for later events */
  async change(change: {
    down?: boolean
    connect_delay_ms?: number
    /** Older messages are only fetched when somebody asks. */
    slow_history?: boolean
    qr_count?: number
    qr_interval_ms?: number
  }): Promise<void> {
    taken(await this.control.patch('/network', change))
  }
}
