/** Each case starts with a user, a webhook, and a linked phone of the test bridge's network. */
import { afterAll, beforeAll } from 'bun:test'
import type { ActionView } from '../../../../src/domain/views/action.ts'
import type { Deployment } from '../../../support/attached-gateway.ts'
import type { Account } from '../../../support/gateway-client.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import { watchSocket } from '../../../support/socket-watcher.ts'
import type { PhoneOptions, Testnet } from '../../../support/testnet.ts'
import type { TestnetPhone } from '../../../support/testnet-phone.ts'
import { waitFor } from '../../../support/wait-for.ts'

export interface Setting {
  deployment: Deployment
  testnet: Testnet
}

/** A function, as the setting is made when the first case runs. */
export type SettingOf = () => Setting

/** Platform of the test bridge. */
export const PLATFORM = 'wa'
/** Its login flows. */
export const FLOWS = ['choose', 'code', 'cookies', 'emoji', 'novel', 'phone', 'qr']

/** Synapse doubles its waits for a bridge that was away: up to a minute if it starts slowly. */
const END_DEADLINE_MS = 100_000

export interface LinkedUser extends AsyncDisposable {
  account: Account
  phone: TestnetPhone
  /** Device id. */
  device: string
  inbox: InboxReader
}

/** A new account with a webhook and a new linked phone. */
export async function linkedUser(
  { deployment, testnet }: Setting,
  options: PhoneOptions = {},
  platform = PLATFORM,
): Promise<LinkedUser> {
  const account = await deployment.client.account()
  const phone = await testnet.newPhone(options)
  const device = await link(account, phone, platform)
  const inbox = await InboxReader.open(account)
  return { account, phone, device, inbox, [Symbol.asyncDispose]: () => inbox[Symbol.asyncDispose]() }
}

export interface Pair {
  user: LinkedUser
  friend: TestnetPhone
}

/** A pair for several independent cases, since a homeserver takes long to make a new chat. */
export function sharedPair(setting: SettingOf): () => Pair {
  let pair: Pair | undefined

  beforeAll(async () => {
    pair = { user: await linkedUser(setting()), friend: await setting().testnet.newPhone() }
  })

  afterAll(async () => pair?.user[Symbol.asyncDispose]())

  return () => {
    if (!pair) throw new Error('there is no pair yet')
    return pair
  }
}

/** Links by scanning the code. @returns the device id, once the gateway reports it connected */
export async function link(account: Account, phone: TestnetPhone, platform = PLATFORM): Promise<string> {
  await using socket = watchSocket(await account.addDevice(platform))
  await phone.confirm(await socket.waitForText(0))
  const { code, reason } = await socket.closed
  if (code !== 1000) throw new Error(`the link ended with ${code}: ${reason}`)
  return reason.replace('connected: ', '')
}

/** Sends a text and waits until the bridge has it. @returns its Matrix event id */
export async function sendText(user: LinkedUser, contact: TestnetPhone, text: string): Promise<string> {
  const [accepted] = await user.account.send(user.device, { contact: contact.number, text })
  const { event_id } = await user.account.waitForStatus(accepted?.id ?? '', ['sent', 'delivered', 'read'])
  if (event_id === null) throw new Error('a message that was sent has no event id')
  return event_id
}

/** Waits until the bridge has spoken, as a gateway that just started lets it wait for seconds. */
export function untilEnded({ account }: LinkedUser, { id }: Pick<ActionView, 'id'>): Promise<ActionView> {
  return waitFor(
    async () => {
      const { body } = await account.api.get<ActionView>(`/api/v1/actions/${id}`)
      const isEnd = ['sent', 'failed', 'cancelled'].includes(body.status)
      return isEnd && body.reason !== 'status_timeout' && body
    },
    { what: `an end of ${id}`, deadlineMs: END_DEADLINE_MS },
  )
}
