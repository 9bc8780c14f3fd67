/**
 * The API's page tries its calls here: a gateway with the devices, chats and messages that the
 * document's examples speak of, and the ids that its paths take.
 */
import type { MessagePayload } from '../../src/domain/events.ts'
import type { ActionView } from '../../src/domain/views/action.ts'
import type { ChatView } from '../../src/domain/views/chat.ts'
import { type Account, formWith } from './gateway-client.ts'
import { InboxReader } from './inbox-reader.ts'
import { type TestGateway, testGateway } from './test-gateway.ts'
import { waitFor } from './wait-for.ts'

/** Device and people of the document's examples. */
const DEVICE = '237123456789'
const PERSON = '1234567890'
const MEMBERS = ['4915112345678', '4915187654321']
export const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

/** Values of parameters by their names. */
type Parameters = Record<string, string>

export interface TryItOutScene extends AsyncDisposable {
  gateway: TestGateway
  account: Account
  /** @returns values for the parameters of a call; those that destroy something get their own */
  parametersOf(operationId: string, path: string): Promise<Parameters>
  /** Waits until what was accepted is done, if it is an action: a repeat may be refused then. */
  endOf(accepted: { id?: unknown }): Promise<void>
}

export async function tryItOutScene(): Promise<TryItOutScene> {
  await using stack = new AsyncDisposableStack()
  const gateway = stack.use(await testGateway())
  const { client } = gateway
  const account = await client.account()
  const { api } = account
  await account.link(DEVICE)
  const inbox = stack.use(await InboxReader.open(account))

  const newGroup = async (...participants: string[]) =>
    (await api.post<ChatView>(`/api/v1/devices/${DEVICE}/groups`, { name: 'Team', participants })).body.id
  const sent = async (fields: object) =>
    (await account.send(DEVICE, { contact: PERSON, text: 'a message', ...fields }))[0]?.id ?? ''
  const startedLink = async (body: object, state: string): Promise<string> => {
    const started = await api.post<{ link: { id: string } }>('/api/v1/devices', body)
    const { id } = started.body.link
    const is = async () =>
      (await api.get<{ state: string }>(`/api/v1/devices/links/${id}`)).body.state === state
    await waitFor(is, { what: `the link to be ${state}` })
    return id
  }
  /** The person's phone replies of itself, too. */
  const received = async (wanted: (event: MessagePayload) => unknown): Promise<MessagePayload> => {
    const event = await inbox.next()
    return wanted(event) ? event : received(wanted)
  }
  const newWebhook = async (name: string) =>
    String((await account.addWebhook(`${inbox.receiver.url}/${name}`, ['message.own'])).id)

  const png = { name: 'a.png', type: 'image/png', content: PNG }
  await client.sandbox.post('/phones', formWith({ phone: PERSON }, png))
  const message = await sent({})
  const person = client.phone(PERSON)
  await person.waitForText('a message')
  await person.send({ to: DEVICE, poll: { question: 'When?', options: ['Monday', 'Tuesday'] } })
  const poll = await received(({ poll }) => poll)
  await person.send(formWith({ to: DEVICE }, png))
  const picture = await received(({ media }) => media)
  const [delivery] = (
    await api.get<{ deliveries: { id: string }[] }>(`/api/v1/webhooks/${inbox.webhookId}/deliveries`)
  ).body.deliveries
  const contact = (
    await api.get<{ avatar_url: string | null }>(`/api/v1/devices/${DEVICE}/contacts/${PERSON}`)
  ).body
  const chat = poll.chat_id ?? ''
  const action = (await api.post<{ id: string }>(`/api/v1/chats/${chat}/read`, {})).body.id
  const newToken = async () => {
    await client.admin.post('/api/v1/tokens', {})
    const { body } = await client.admin.get<{ id: number }[]>('/api/v1/tokens')
    return String(body.at(-1)?.id)
  }
  for (const client_id of ['tried', 'spare']) await client.admin.post('/api/v1/credentials', { client_id })
  const spare = (await client.newPhone()).number
  await account.link(spare, 'telegram')
  const group = await newGroup(...MEMBERS)
  const soon = new Date(Date.now() + 3_600_000).toISOString()

  /** By their names, or the segment before them, as paths call many things `id`. */
  const ids: Parameters = {
    webhooks: await newWebhook('tried'),
    deliveries: delivery?.id ?? '',
    messages: message,
    actions: action,
    device_id: DEVICE,
    identifier: PERSON,
    client_id: 'tried',
    chat_id: chat,
  }
  /** Links end by themselves after a while, so each call has its own when its turn comes. */
  const ownLink = async (body: object, state: string) => ({ id: await startedLink(body, state) })
  const own: Record<string, () => Parameters | Promise<Parameters>> = {
    getLink: () => ownLink({ platform: 'signal' }, 'waiting_for_scan'),
    getLinkQrCode: () => ownLink({ platform: 'signal' }, 'waiting_for_scan'),
    cancelLink: () => ownLink({ platform: 'signal' }, 'waiting_for_scan'),
    answerLink: () => ownLink({ platform: 'wa', flow: 'phone' }, 'waiting_for_input'),
    deleteToken: async () => ({ id: await newToken() }),
    deleteCredential: () => ({ client_id: 'spare' }),
    deleteDeviceById: () => ({ device_id: spare }),
    deleteWebhook: async () => ({ id: await newWebhook('spare') }),
    cancelMessage: async () => ({ id: await sent({ send_at: soon }) }),
    unsendMessage: async () => ({ id: await sent({}) }),
    voteInPoll: () => ({ id: poll.id }),
    updateChat: () => ({ chat_id: group }),
    updateMembers: () => ({ chat_id: group }),
    listMembers: () => ({ chat_id: group }),
    deleteChat: async () => ({ chat_id: await newGroup(...MEMBERS) }),
    leaveChat: async () => ({ chat_id: await newGroup(...MEMBERS) }),
    // Trying updateWebhook switches its own off.
    replayWebhook: () => ({ id: String(inbox.webhookId) }),
    downloadMedia: () => signed(picture.media?.url),
    downloadAvatar: () => signed(contact.avatar_url),
  }
  const disposal = stack.move()
  return {
    gateway,
    account,
    async parametersOf(operationId, path) {
      const parameters: Parameters = {}
      const segments = path.split('/')
      for (const [index, segment] of segments.entries()) {
        const name = /^\{(\w+)\}$/.exec(segment)?.[1]
        const value = name && (ids[name] ?? ids[segments[index - 1] ?? ''])
        if (name && value) parameters[name] = value
      }
      return { ...parameters, ...(await own[operationId]?.()) }
    },
    async endOf({ id }) {
      if (!String(id).startsWith('act_')) return
      const isDone = async () => {
        const { body } = await api.get<ActionView>(`/api/v1/actions/${id}`)
        return !['queued', 'sending'].includes(body.status)
      }
      await waitFor(isDone, { what: `${id} to end` })
    },
    [Symbol.asyncDispose]: () => disposal.disposeAsync(),
  }
}

/** @returns the parameters in the signed address of a file */
function signed(address: string | null | undefined): Parameters {
  const { pathname, searchParams } = new URL(address ?? '')
  return { id: pathname.split('/').at(-1) ?? '', ...Object.fromEntries(searchParams) }
}
