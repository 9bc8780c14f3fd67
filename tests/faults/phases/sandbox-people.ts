/** Both ends of the sandbox's load: identities with devices, webhooks, friends and a group. */
import {
  formWith,
  type GatewayClient,
  type PhoneMessage,
  type Platform,
} from '../../support/gateway-client.ts'
import { FaultyEndpoint, type HookedEndpoint } from '../load/endpoint.ts'
import { digest, fileOf } from '../load/files.ts'
import type { IncomingChat } from '../load/incoming.ts'
import type { People } from '../load/load.ts'
import type { Arrival, OutgoingChat } from '../load/outgoing.ts'

const IDENTITIES: { name: string; platforms: Platform[]; endpoints: number }[] = [
  { name: 'ada', platforms: ['wa', 'telegram'], endpoints: 2 },
  { name: 'ben', platforms: ['signal'], endpoints: 1 },
  { name: 'cleo', platforms: ['wa'], endpoints: 1 },
]
const FRIENDS_OF_A_DEVICE = 2

interface Owner {
  token: string
  endpoints: FaultyEndpoint[]
}

interface LinkedDevice {
  owner: Owner
  platform: Platform
  number: string
}

export class SandboxPeople implements People, AsyncDisposable {
  /** The endpoints, with their owners' tokens and webhook ids. */
  readonly hooked: HookedEndpoint[] = []
  readonly outgoing: OutgoingChat[] = []
  readonly incoming: IncomingChat[] = []
  /** All chats but those of newcomers, once everybody has moved in. */
  acting: readonly OutgoingChat[] = []
  private readonly devices: LinkedDevice[] = []
  private newcomers = 0

  constructor(private readonly client: GatewayClient) {}

  async moveIn(): Promise<void> {
    for (const { name, platforms, endpoints } of IDENTITIES) {
      const account = await this.client.account()
      const owner: Owner = { token: account.token, endpoints: [] }
      for (let count = 1; count <= endpoints; count++) {
        const endpoint = new FaultyEndpoint(`${name}${count}`)
        const { id, secret } = await account.addWebhook(endpoint.url)
        endpoint.expectSecret(secret)
        owner.endpoints.push(endpoint)
        this.hooked.push({ endpoint, token: owner.token, webhookId: id })
      }
      for (const platform of platforms) {
        const { number } = await this.client.newPhone()
        await account.link(number, platform)
        const device = { owner, platform, number }
        this.devices.push(device)
        const friends: string[] = []
        for (let count = 0; count < FRIENDS_OF_A_DEVICE; count++)
          friends.push((await this.client.newPhone()).number)
        for (const [index, friend] of friends.entries())
          this.chatWith(device, friend, `${name}-${platform}-${index}`)
        if (platform === 'wa') await this.groupOf(device, friends, `${name}-group`)
      }
    }
    this.acting = [...this.outgoing]
  }

  /** A new person for a device. @returns the chats they begin. @throws Error without a gateway */
  async newcomer(): Promise<{ outgoing: OutgoingChat; incoming: IncomingChat }> {
    const device = this.devices[this.newcomers++ % this.devices.length] as LinkedDevice
    const { number } = await this.client.newPhone()
    return this.chatWith(device, number, `new-${this.newcomers}`)
  }

  private chatWith(device: LinkedDevice, friend: string, key: string) {
    const outgoing = this.toPhones(device, `out-${key}`, { contact: friend }, friend)
    const incoming = this.fromPhone(device, `in-${key}`, friend, { to: device.number })
    this.outgoing.push(outgoing)
    this.incoming.push(incoming)
    return { outgoing, incoming }
  }

  private async groupOf(device: LinkedDevice, friends: string[], key: string): Promise<void> {
    const group = await this.client.newGroup(key, friends, device.platform)
    // The linked device joins the group with its first message.
    await this.client.accountOf(device.owner.token).send(device.number, {
      group_url: group.invite_link,
      platform: device.platform,
      text: 'we are here',
    })
    const [first = ''] = friends
    await this.client.phone(first).waitForText('we are here')
    this.outgoing.push(this.toPhones(device, `out-${key}`, { group_url: group.invite_link }, first))
    this.incoming.push(this.fromPhone(device, `in-${key}`, first, { group: group.id }))
  }

  private toPhones(
    device: LinkedDevice,
    key: string,
    to: Record<string, string>,
    observer: string,
  ): OutgoingChat {
    const { owner, platform, number } = device
    return {
      key,
      url: this.client.address.url,
      token: owner.token,
      device: number,
      fields: { ...to, platform },
      arrivals: () =>
        this.messagesOf(observer, ({ from, text }) => from !== observer && text.startsWith(`${key}#`)),
    }
  }

  private fromPhone(
    device: LinkedDevice,
    key: string,
    phone: string,
    to: Record<string, string>,
  ): IncomingChat {
    const fields = { ...to, platform: device.platform }
    return {
      key,
      endpoints: device.owner.endpoints.map(({ name }) => name),
      send: async (text, withFile) => {
        const what = withFile ? formWith({ ...fields, text }, fileOf(text)) : { ...fields, text }
        await this.client.phone(phone).send(what)
      },
      sent: () => this.messagesOf(phone, ({ from, text }) => from === phone && text.startsWith(`${key}#`)),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { endpoint } of this.hooked) await endpoint[Symbol.asyncDispose]()
  }

  private async messagesOf(phone: string, wanted: (message: PhoneMessage) => boolean): Promise<Arrival[]> {
    const messages = (await this.client.phone(phone).messages()).filter(wanted)
    return Promise.all(
      messages.map(async ({ text, file }) => ({ text, file: file && (await this.digestAt(file.url)) })),
    )
  }

  private async digestAt(path: string): Promise<string> {
    const answer = await fetch(this.client.address.url + path)
    return digest(await answer.bytes())
  }
}
