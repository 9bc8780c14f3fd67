/** A gateway over HTTP alone, as users have it, with the sandbox's phones at the other end. */
import type { GroupView } from '../../src/domain/views/contact.ts'
import type { ListedDevice } from '../../src/domain/views/device.ts'
import type { AcceptedMessage, MessageView } from '../../src/domain/views/message.ts'
import type { WebhookView } from '../../src/domain/views/webhook.ts'
import { type Answer, basic, bearer, type JsonClient, jsonClient } from './json-client.ts'
import { type SocketWatcher, watchSocket } from './socket-watcher.ts'
import { waitFor } from './wait-for.ts'

/** A gateway's URL and its first credential. */
export interface GatewayAddress {
  url: string
  clientId: string
  clientSecret: string
}

/** A message as a phone of the sandbox shows it. */
export interface PhoneMessage {
  id: string
  from: string
  to: string
  chat: string
  type: string
  text: string
  file: {
    name: string
    mime_type: string
    size: number
    url: string
    width: number | null
    duration_ms: number | null
  } | null
  reply_to: string | null
  status: string
}

/** Long enough for a busy machine. */
const DEADLINE_MS = 20_000

export type Platform = 'wa' | 'signal' | 'telegram'

export interface SendFields {
  contact?: string | readonly string[]
  file_url?: string
  file_base64?: string
  file_name?: string
  group_url?: string
  chat_id?: string
  text?: string
  reply_id?: string
  platform?: string
  location?: unknown
  poll?: unknown
  contact_card?: unknown
  metadata?: Record<string, string>
  mentions?: readonly string[]
  format?: string
  link_preview?: boolean
}

/** A phone of the sandbox. */
export class Phone {
  constructor(
    private readonly sandbox: JsonClient,
    readonly number: string,
  ) {}

  /** Oldest first. */
  async messages(): Promise<PhoneMessage[]> {
    return (await this.sandbox.get<PhoneMessage[]>(`/phones/${this.number}/messages`)).body
  }

  /** Messages that others sent to the phone. */
  async received(): Promise<PhoneMessage[]> {
    return (await this.messages()).filter(message => message.from !== this.number)
  }

  /** @param what JSON of the sandbox's API, or a form with a file */
  async send(what: Record<string, unknown> | FormData): Promise<PhoneMessage> {
    const answer = await this.sandbox.post<PhoneMessage>(`/phones/${this.number}/messages`, what)
    if (answer.status !== 201) throw new Error(`the phone sent nothing: ${JSON.stringify(answer.body)}`)
    return answer.body
  }

  waitForMessage(
    wanted: (message: PhoneMessage) => boolean,
    what = 'a message on the phone',
  ): Promise<PhoneMessage> {
    return waitFor(async () => (await this.messages()).find(wanted), {
      what: `${what} (${this.number})`,
      deadlineMs: DEADLINE_MS,
    })
  }

  waitForText(text: string): Promise<PhoneMessage> {
    return this.waitForMessage(message => message.text === text, `"${text}"`)
  }
}

/** A token with its identity. */
export class Account {
  readonly api: JsonClient

  constructor(
    readonly address: GatewayAddress,
    readonly token: string,
  ) {
    this.api = jsonClient(address.url, bearer(token))
  }

  /** Asks for a device. @returns the URL of the WebSocket that shows the code */
  async addDevice(platform: string): Promise<string> {
    const answer = await this.api.post<{ qr_code_url: string; error?: string }>('/api/v1/devices', {
      platform,
    })
    if (answer.status !== 201) throw new Error(`no link was started: ${answer.body.error}`)
    return answer.body.qr_code_url
  }

  /** Opens the WebSocket of the newest link. @param format of its frames */
  watchLink(format = 'raw'): SocketWatcher {
    const url = `${this.address.url.replace('http', 'ws')}/api/v1/devices/qr-code`
    return watchSocket(`${url}?format=${format}&token=${encodeURIComponent(this.token)}`)
  }

  /** Links a phone of the sandbox by its QR code. @returns once the gateway reports it connected */
  async link(phone: string, platform: Platform = 'wa'): Promise<string> {
    await using socket = watchSocket(await this.addDevice(platform))
    await scan(await socket.waitForText(0), phone)
    const { code, reason } = await socket.closed
    if (code !== 1000) throw new Error(`the link ended with ${code}: ${reason}`)
    return phone
  }

  async groups(deviceId: string): Promise<GroupView[]> {
    return (await this.api.get<GroupView[]>(`/api/v1/devices/${deviceId}/groups`)).body
  }

  /** @param query of the feed. @returns the events of one page */
  async feed(query: Record<string, string | number>): Promise<{ event: string }[]> {
    const asked = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    return (await this.api.get<{ events: { event: string }[] }>(`/api/v1/events?${asked.join('&')}`)).body
      .events
  }

  async devices(): Promise<ListedDevice[]> {
    return (await this.api.get<ListedDevice[]>('/api/v1/devices')).body
  }

  /** A new login takes a moment to connect. @returns the devices, once this one is connected */
  async untilConnected(deviceId: string): Promise<ListedDevice[]> {
    return waitFor(
      async () => {
        const devices = await this.devices()
        return devices.some(each => each.device_id === deviceId && each.state === 'connected') && devices
      },
      { what: `${deviceId} to be connected`, deadlineMs: 20_000 },
    )
  }

  /** @throws Error when the gateway doesn't accept it */
  async send(deviceId: string, fields: SendFields | FormData): Promise<AcceptedMessage[]> {
    const answer = await this.trySend<{ messages: AcceptedMessage[] }>(deviceId, fields)
    if (answer.status !== 200) throw new Error(`not accepted: ${JSON.stringify(answer.body)}`)
    return answer.body.messages
  }

  trySend<T = { error: string; code: string }>(
    deviceId: string,
    fields: SendFields | FormData,
  ): Promise<Answer<T>> {
    const body = fields instanceof FormData ? fields : { platform: 'wa', ...fields }
    return this.api.post<T>(`/api/v1/devices/${deviceId}/message`, body)
  }

  async message(id: string): Promise<MessageView> {
    return (await this.api.get<MessageView>(`/api/v1/messages/${id}`)).body
  }

  waitForStatus(id: string, statuses: readonly MessageView['status'][]): Promise<MessageView> {
    return waitFor(
      async () => {
        const message = await this.message(id)
        return statuses.includes(message.status) && message
      },
      { what: `message ${id} to be ${statuses.join(' or ')}`, deadlineMs: DEADLINE_MS },
    )
  }

  /** @param events by default message.received */
  async addWebhook(
    url: string,
    events?: readonly string[],
    settings: Partial<Pick<WebhookView, 'filters' | 'media'>> = {},
  ): Promise<WebhookView & { secret: string }> {
    const webhook = { url, ...(events ? { events } : {}), ...settings }
    const answer = await this.api.post<WebhookView & { secret: string }>('/api/v1/webhooks', webhook)
    if (answer.status !== 201) throw new Error(`no webhook: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
}

export class GatewayClient {
  readonly admin: JsonClient
  readonly sandbox: JsonClient
  private numbers = 0

  constructor(readonly address: GatewayAddress) {
    this.admin = jsonClient(address.url, basic(address.clientId, address.clientSecret))
    this.sandbox = jsonClient(`${address.url}/sandbox/api`)
  }

  /** @param useHost share the identity of the first token */
  async account(useHost = false): Promise<Account> {
    const answer = await this.admin.post<{ token: string }>('/api/v1/tokens', { use_host: useHost })
    if (answer.status !== 201) throw new Error(`no token: ${JSON.stringify(answer.body)}`)
    return this.accountOf(answer.body.token)
  }

  accountOf(token: string): Account {
    return new Account(this.address, token)
  }

  phone(number: string): Phone {
    return new Phone(this.sandbox, number)
  }

  /** A phone that no other test uses. It replies only with `echo`. */
  async newPhone({
    echo = false,
    contacts = [],
    ending = '',
  }: {
    echo?: boolean
    contacts?: { phone: string; name: string }[]
    /** The number's last digits: on the sandbox's WhatsApp, 3 or 6 at the end hides the id. */
    ending?: string
  } = {}): Promise<Phone> {
    const number = `49151${String(Math.floor(Math.random() * 1e6)).padStart(6, '0')}${this.numbers++}${ending}`
    const answer = await this.sandbox.post('/phones', { phone: number, echo, contacts })
    if (answer.status !== 201) throw new Error(`no phone: ${JSON.stringify(answer.body)}`)
    return this.phone(number)
  }

  /** A new account with a new phone linked to it. */
  async linkedAccount(
    options: { platform?: Platform; contacts?: { phone: string; name: string }[]; ending?: string } = {},
  ): Promise<{ account: Account; device: string; phone: Phone }> {
    const { platform, ...ofPhone } = options
    const phone = await this.newPhone(ofPhone)
    const account = await this.account()
    await account.link(phone.number, platform)
    return { account, device: phone.number, phone }
  }

  async newGroup(
    name: string,
    members: readonly string[],
    platform: Platform = 'wa',
  ): Promise<{ id: string; invite_link: string }> {
    const group = { name, platform, members }
    return (await this.sandbox.post<{ id: string; invite_link: string }>('/groups', group)).body
  }

  async setFaults(faults: Record<string, unknown>): Promise<void> {
    const answer = await this.sandbox.post('/faults', faults)
    if (answer.status !== 200) throw new Error(`no faults: ${JSON.stringify(answer.body)}`)
  }
}

/** Scans a QR code with a phone of the sandbox. */
export async function scan(payload: string, phone?: string): Promise<Answer> {
  const { origin, pathname } = new URL(payload)
  return jsonClient(origin).post(pathname, phone === undefined ? {} : { phone })
}

/** Form fields with a file, for a send or a phone's message. */
export function formWith(
  fields: Record<string, string>,
  file?: { name: string; type?: string; content: Uint8Array<ArrayBuffer> | string },
): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  if (file) form.set('file', new File([file.content], file.name, { type: file.type ?? '' }))
  return form
}
