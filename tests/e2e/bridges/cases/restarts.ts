/** Each part of a deployment restarts while messages go both ways: none is missed or repeated. */
import { expect, test } from 'bun:test'
import type { MessagePayload } from '../../../../src/domain/events.ts'
import type { HomeserverKind } from '../../../support/attached-gateway.ts'
import type { PushState, Synapse } from '../../../support/synapse.ts'
import type { TestnetPhone } from '../../../support/testnet-phone.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { type LinkedUser, linkedUser, PLATFORM, type Setting, type SettingOf } from './setting.ts'

/** After an outage, homeserver and bridge retry at growing intervals. */
const DEADLINE_MS = 45_000

export function restartCases(setting: SettingOf, kind: HomeserverKind): void {
  test.each<'stop' | 'kill'>(['stop', 'kill'])(
    'the gateway (%s), with messages arriving meanwhile',
    async way => {
      const { deployment } = setting()
      await messagesBothWays(setting(), {
        async end() {
          if (way === 'kill') await deployment.gateway.kill()
          else expect(await deployment.gateway.stop()).toBe(0)
        },
        begin: () => deployment.gateway.start(),
        acceptsMeanwhile: false,
        catchesUpFirst: kind === 'synapse',
      })
    },
  )

  test('the bridge', async () => {
    const bridge = setting().deployment.bridge(PLATFORM)
    await messagesBothWays(setting(), {
      end: () => bridge.kill(),
      begin: () => bridge.start(),
      acceptsMeanwhile: true,
      // The bridge loses messages that it hasn't passed on to the homeserver.
      isNetwork: true,
    })
  })

  // The embedded homeserver restarts with the gateway.
  if (kind === 'embedded') return

  test('the homeserver', async () => {
    const { synapse } = setting().deployment
    await messagesBothWays(setting(), {
      end: async () => synapse?.stop(),
      begin: async () => synapse?.start(),
      acceptsMeanwhile: true,
      forgets: true,
    })
  })
}

interface Interruption {
  end(): Promise<void>
  begin(): Promise<void>
  /** True when the gateway accepts messages in between. */
  acceptsMeanwhile: boolean
  /** True when the network stops as well: the test bridge's network lives in its program. */
  isNetwork?: boolean
  /**
   * Synapse may keep back events of the instant it has caught up with an appservice, until it
   * must catch up again: its scheduler looks for unsent events, then marks the service as up.
   */
  catchesUpFirst?: boolean
  /** True when Synapse may end between storing an event and queueing it for the bridge. */
  forgets?: boolean
}

/** A friend and the user write to each other before, during and after the interruption. */
async function messagesBothWays(setting: Setting, interruption: Interruption): Promise<void> {
  await using user = await linkedUser(setting)
  const outgoing = await Outgoing.to(setting, user)
  const { friend } = outgoing
  const arrive = (text: string) => friend.send({ to: user.phone.id, text })

  await outgoing.send('out 1')
  await friend.waitForText('out 1')
  await arrive('in 1')
  await outgoing.send('out 2')
  await arrive('in 2')
  if (interruption.isNetwork) await user.inbox.receiver.waitForCount(2, DEADLINE_MS)
  const { synapse } = setting.deployment
  const recoveries = synapse?.recoveriesOf('meshgate') ?? 0
  const outages = synapse?.outagesOf('meshgate') ?? 0
  await interruption.end()
  const meanwhile = ['in 3', 'in 4']
  if (!interruption.isNetwork) for (const text of meanwhile) await arrive(text)
  if (interruption.acceptsMeanwhile) await outgoing.send('out 3')
  // A slow bridge might tell Synapse of them only once the gateway is back, with no outage to end.
  if (interruption.catchesUpFirst)
    await waitFor(() => (synapse?.outagesOf('meshgate') ?? 0) > outages, { deadlineMs: DEADLINE_MS })
  await interruption.begin()
  if (interruption.isNetwork) for (const text of meanwhile) await arrive(text)
  if (interruption.catchesUpFirst)
    await waitFor(() => (synapse?.recoveriesOf('meshgate') ?? 0) > recoveries, { deadlineMs: DEADLINE_MS })
  await arrive('in 5')
  await outgoing.send('out 4')

  const arrived = await outgoing.arrived()
  const expected = outgoing.texts.filter(text => !interruption.forgets || !outgoing.forgotten.includes(text))
  // A bridge that isn't connected yet refuses the first message, which then comes after later ones.
  const isInOrder = !interruption.isNetwork && !outgoing.caughtUp
  expect(isInOrder ? arrived : arrived.toSorted()).toEqual(expected)
  const texts = ['in 1', 'in 2', 'in 3', 'in 4', 'in 5']
  const received = await receivedTexts(user, texts.length)
  // The gateway reads once more what Synapse kept back, so it comes after later messages.
  expect(interruption.catchesUpFirst ? received.toSorted() : received).toEqual(texts)
}

/** The user's messages to a friend, and which of them can arrive. */
class Outgoing {
  private readonly sent: { text: string; id: string }[] = []
  /** Messages that Synapse stored and never queued for the bridge; no gateway can mend that. */
  forgotten: readonly string[] = []
  /** True when Synapse had to be made to push kept messages. */
  caughtUp = false

  private constructor(
    private readonly setting: Setting,
    private readonly user: LinkedUser,
    readonly friend: TestnetPhone,
  ) {}

  static async to(setting: Setting, user: LinkedUser): Promise<Outgoing> {
    return new Outgoing(setting, user, await setting.testnet.newPhone())
  }

  get texts(): string[] {
    return this.sent.map(({ text }) => text)
  }

  async send(text: string): Promise<void> {
    const { account, device } = this.user
    const [accepted] = await account.send(device, { contact: this.friend.number, text })
    this.sent.push({ text, id: accepted?.id ?? '' })
  }

  /** @returns the friend's messages, once complete */
  async arrived(): Promise<string[]> {
    const arrived = await this.untilAllArrived()
    const { synapse } = this.setting.deployment
    if (!synapse) return arrived
    const states = await this.pushStates(arrived, synapse)
    this.forgotten = states.get('forgotten') ?? []
    if (!states.has('kept')) return arrived
    await this.letCatchUp(synapse)
    return this.untilAllArrived()
  }

  private async untilAllArrived(): Promise<string[]> {
    const hasAll = async () => (await this.friend.receivedTexts()).length >= this.sent.length
    await waitFor(hasAll, { deadlineMs: DEADLINE_MS }).catch(() => undefined)
    return this.friend.receivedTexts()
  }

  /** Messages that haven't arrived, by their state at Synapse. */
  private async pushStates(arrived: string[], synapse: Synapse): Promise<Map<PushState, string[]>> {
    const { appserviceId } = this.setting.deployment.bridge(PLATFORM)
    const states = new Map<PushState, string[]>()
    for (const { text, id } of this.sent.filter(({ text }) => !arrived.includes(text))) {
      const { event_id } = await this.user.account.message(id)
      if (event_id === null) continue
      const state = await synapse.pushStateOf(event_id, appserviceId)
      states.set(state, [...(states.get(state) ?? []), text])
    }
    return states
  }

  /** After a failed push, Synapse's next successful one also pushes the events it kept back. */
  private async letCatchUp(synapse: Synapse): Promise<void> {
    const bridge = this.setting.deployment.bridge(PLATFORM)
    const outages = synapse.outagesOf(bridge.appserviceId)
    await bridge.kill()
    await this.send('out 5')
    await waitFor(() => synapse.outagesOf(bridge.appserviceId) > outages, { deadlineMs: DEADLINE_MS })
    await bridge.start()
    this.caughtUp = true
  }
}

/** Counts repeats of a delivery once. Ignores the deadline: the missing texts say more. */
async function receivedTexts(user: LinkedUser, count: number): Promise<string[]> {
  const texts = () => {
    const byDelivery = new Map<string, string>()
    for (const { headers, json } of user.inbox.receiver.received)
      byDelivery.set(headers.get('webhook-id') ?? '', (json as MessagePayload).message)
    return [...byDelivery.values()]
  }
  await waitFor(() => texts().length >= count, { deadlineMs: DEADLINE_MS }).catch(() => undefined)
  return texts()
}
