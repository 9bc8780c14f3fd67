/** Both ends of the test bridge's load: identities with a phone, an endpoint and friends. */
import { join } from 'node:path'
import type { Deployment } from '../../support/attached-gateway.ts'
import type { Account } from '../../support/gateway-client.ts'
import { watchSocket } from '../../support/socket-watcher.ts'
import { Testnet } from '../../support/testnet.ts'
import { bytesOfMessage, type TestnetMessage, type TestnetPhone } from '../../support/testnet-phone.ts'
import { FaultyEndpoint, type HookedEndpoint } from '../load/endpoint.ts'
import { digest, fileOf } from '../load/files.ts'
import type { IncomingChat } from '../load/incoming.ts'
import type { People } from '../load/load.ts'
import type { Arrival, OutgoingChat } from '../load/outgoing.ts'

/** Platform of the test bridge. */
export const PLATFORM = 'wa'

const IDENTITIES = ['ada', 'ben']
const FRIENDS = 2

export class TestnetPeople implements People, AsyncDisposable {
  readonly hooked: HookedEndpoint[] = []
  readonly outgoing: OutgoingChat[] = []
  readonly incoming: IncomingChat[] = []
  private readonly testnet: Testnet

  constructor(private readonly deployment: Deployment) {
    this.testnet = new Testnet(deployment.bridge(PLATFORM).controlUrl)
  }

  async moveIn(): Promise<void> {
    for (const name of IDENTITIES) {
      const account = await this.deployment.client.account()
      const endpoint = new FaultyEndpoint(name)
      const { id, secret } = await account.addWebhook(endpoint.url)
      endpoint.expectSecret(secret)
      this.hooked.push({ endpoint, token: account.token, webhookId: id })
      const own = await this.testnet.newPhone()
      const device = await this.link(account, own)
      for (let count = 0; count < FRIENDS; count++) {
        const friend = await this.testnet.newPhone()
        // A bridge may lose a message when both sides begin a chat at once (docs/reliability.md).
        await account.send(device, { contact: friend.number, text: 'hello' })
        await friend.waitForText('hello')
        this.outgoing.push(this.toPhone(account, device, friend, `out-${name}-${count}`))
        this.incoming.push(this.fromPhone(own, friend, `in-${name}-${count}`, name))
      }
    }
  }

  private async link(account: Account, phone: TestnetPhone): Promise<string> {
    await using socket = watchSocket(await account.addDevice(PLATFORM))
    await phone.confirm(await socket.waitForText(0))
    const { code, reason } = await socket.closed
    if (code !== 1000) throw new Error(`the link ended with ${code}: ${reason}`)
    return reason.replace('connected: ', '')
  }

  private toPhone(account: Account, device: string, friend: TestnetPhone, key: string): OutgoingChat {
    return {
      key,
      url: account.address.url,
      token: account.token,
      device,
      fields: { contact: friend.number, platform: PLATFORM },
      arrivals: async () => (await friend.messages()).filter(({ from }) => from !== friend.id).map(arrivalOf),
    }
  }

  private fromPhone(own: TestnetPhone, friend: TestnetPhone, key: string, endpoint: string): IncomingChat {
    return {
      key,
      endpoints: [endpoint],
      async send(text, withFile) {
        const { name, content } = fileOf(text)
        const media = { data: content, mime_type: 'application/octet-stream', file_name: name }
        await friend.send({ to: own.id, text, ...(withFile ? { type: 'file' as const, media } : {}) })
      },
      sent: async () => (await friend.messages()).filter(({ from }) => from === friend.id).map(arrivalOf),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { endpoint } of this.hooked) await endpoint[Symbol.asyncDispose]()
  }
}

function arrivalOf(message: TestnetMessage): Arrival {
  return {
    text: message.text ?? '',
    file: message.media === undefined ? null : digest(bytesOfMessage(message)),
  }
}

/** @param directory the gateway's working directory */
export function databaseIn(directory: string): string {
  return join(directory, 'data', 'meshgate.db')
}
