/** A tenant with one of everything: credential, token, device, messages, file, webhooks, link. */
import { formWith, type GatewayClient } from '../../support/gateway-client.ts'
import { basic, type JsonClient, jsonClient } from '../../support/json-client.ts'
import { webhookReceiver } from '../../support/webhook-receiver.ts'
import type { Things } from './operations.ts'

export interface Tenant {
  clientId: string
  clientSecret: string
  token: string
  /** With its own credential. */
  admin: JsonClient
  things: Things
  /** Texts that no other tenant may ever see. */
  markers: string[]
}

type Caller = Omit<Tenant, 'things' | 'markers'>

/** @param name of its credential, and part of all that it says */
export async function createCaller({ admin, address }: GatewayClient, name: string): Promise<Caller> {
  const made = await admin.post<{ client_secret: string }>('/api/v1/credentials', { client_id: name })
  const clientSecret = made.body.client_secret
  const own = jsonClient(address.url, basic(name, clientSecret))
  const { token } = (await own.post<{ token: string }>('/api/v1/tokens', {})).body
  return { clientId: name, clientSecret, token, admin: own }
}

/** @param webhooks how many it has; its object is the last of them */
export async function createTenant(client: GatewayClient, name: string, webhooks: number): Promise<Tenant> {
  const caller = await createCaller(client, name)
  const account = client.accountOf(caller.token)
  const phone = await client.newPhone()
  const device = await account.link(phone.number)
  await using receiver = webhookReceiver()
  let webhook = ''
  for (let count = 1; count <= webhooks; count += 1) {
    webhook = String((await account.addWebhook(`${receiver.url}/${name}/${count}`)).id)
  }
  const friend = await client.newPhone()
  const [message] = await account.send(device, { contact: friend.number, text: `said by ${name}` })
  const reaction = await account.api.put<{ id: string }>(`/api/v1/messages/${message?.id}/reaction`, {
    emoji: '🙏',
  })
  const file = { name: `${name}.png`, type: 'image/png', content: `a file of ${name}` }
  await friend.send(formWith({ to: device, text: `heard by ${name}` }, file))
  const received = (await receiver.waitForCount(webhooks, 20_000)).find(({ path }) =>
    path.endsWith(`/${webhooks}`),
  )
  const link = await account.api.post<{ link: { id: string } }>('/api/v1/devices', { platform: 'signal' })
  const [token] = (await caller.admin.get<{ id: number; matrix_username: string }[]>('/api/v1/tokens')).body
  const { media, chat_id: chat } = (received?.json ?? {}) as { media?: { url: string }; chat_id?: string }
  const things: Things = {
    device,
    message: message?.id ?? '',
    chat: chat ?? '',
    action: reaction.body.id,
    webhook,
    link: link.body.link.id,
    token: String(token?.id),
    credential: name,
    media: new URL(media?.url ?? '').pathname.split('/').at(-1) ?? '',
    delivery: received?.headers.get('webhook-id') ?? '',
  }
  const { message: messageId, link: linkId, media: mediaId, delivery } = things
  const said = [`said by ${name}`, `heard by ${name}`, `/${name}/`, friend.number]
  const markers = [
    device,
    chat ?? '',
    messageId,
    linkId,
    mediaId,
    delivery,
    token?.matrix_username ?? '',
    ...said,
  ]
  const missing = Object.entries(things).filter(([, id]) => id === '' || id === 'undefined')
  if (missing.length > 0) throw new Error(`${name} has no ${missing.map(([thing]) => thing).join(', ')}`)
  return { ...caller, things, markers }
}
