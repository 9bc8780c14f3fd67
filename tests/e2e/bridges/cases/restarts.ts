/** Each part of a deployment ends and comes back, while messages go both ways: nothing is missed and nothing repeated. */
import { expect, test } from 'bun:test'
import type { MessagePayload } from '../../../../src/domain/events.ts'
import type { HomeserverKind } from '../../../support/attached-gateway.ts'
import type { PushState, Synapse } from '../../../support/synapse.ts'
import type { TestnetPhone } from '../../../support/testnet.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { type LinkedUser, linkedUser, PLATFORM, type Setting, type SettingOf } from './setting.ts'

/** After an outage, homeserver and bridge try again at longer and longer intervals. */
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
      // What the network has told the bridge, and it not yet the homeserver, is lost with it.
      isNetwork: true,
    })
  })

  // The gateway's own ends and begins with it.
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
  /** Whether the gateway takes messages in between. */
  acceptsMeanwhile: boolean
  /** Whether the network is interrupted as well: the test bridge's lives in its program. */
  isNetwork?: boolean
  /**
   * Synapse may keep back what happens in the instant in which it has caught up with an application service, until it has to catch up again
   * (its scheduler looks for what is unsent, and marks the service as up, in two steps).
   */
  catchesUpFirst?: boolean
  /** Whether an event may stay for ever between Synapse's storing it and its queue for the bridge: it ends meanwhile. */
  forgets?: boolean
}

/** Before, during and after the interruption a friend and the user write to each other. */
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
  // Else a slow bridge might tell Synapse of them only when the gateway is back, and there would be nothing to catch up with.
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
  // A bridge that isn't connected yet refuses what comes first, for now: that comes again, behind what came next.
  const isInOrder = !interruption.isNetwork && !outgoing.caughtUp
  expect(isInOrder ? arrived : arrived.toSorted()).toEqual(expected)
  const texts = ['in 1', 'in 2', 'in 3', 'in 4', 'in 5']
  const received = await receivedTexts(user, texts.length)
  // What Synapse kept back all the same is read once more, and comes behind what it told.
  expect(interruption.catchesUpFirst ? received.toSorted() : received).toEqual(texts)
}

/** What the user sends to a friend, and what of it there is to come. */
class Outgoing {
  private readonly sent: { text: string; id: string }[] = []
  /** What Synapse stored, and never put into its queue for the bridge. No gateway can mend that. */
  forgotten: readonly string[] = []
  /** Whether Synapse had to be brought to push what it had kept back. */
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

  /** @returns what the friend got, once it is all */
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

  /** What hasn't arrived, by how far Synapse has brought it. */
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

  /** Synapse pushes what it has kept back when it next fails to push something, and then succeeds. */
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

/** Each delivery once: one that was repeated because its answer was lost counts as one. What is missing says more than the deadline. */
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
