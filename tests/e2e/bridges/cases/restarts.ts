/** Each part of a deployment ends and comes back, while messages go both ways: nothing is missed and nothing repeated. */
import { expect, test } from 'bun:test'
import type { MessagePayload } from '../../../../src/domain/events.ts'
import type { HomeserverKind } from '../../../support/attached-gateway.ts'
import { waitFor } from '../../../support/wait-for.ts'
import { type LinkedUser, linkedUser, PLATFORM, type Setting, type SettingOf } from './setting.ts'

/** After an outage, homeserver and bridge try again at longer and longer intervals. */
const DEADLINE_MS = 60_000

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
}

/** Before, during and after the interruption a friend and the user write to each other. */
async function messagesBothWays(setting: Setting, interruption: Interruption): Promise<void> {
  await using user = await linkedUser(setting)
  const friend = await setting.testnet.newPhone()
  const sent: string[] = []
  const send = async (text: string) => {
    sent.push(text)
    await user.account.send(user.device, { contact: friend.number, text })
  }
  const arrive = (text: string) => friend.send({ to: user.phone.id, text })

  await send('out 1')
  await friend.waitForText('out 1')
  await arrive('in 1')
  await send('out 2')
  await arrive('in 2')
  if (interruption.isNetwork) await user.inbox.receiver.waitForCount(2, DEADLINE_MS)
  const recoveries = setting.deployment.synapse?.recoveriesOf('meshgate') ?? 0
  await interruption.end()
  const meanwhile = ['in 3', 'in 4']
  if (!interruption.isNetwork) for (const text of meanwhile) await arrive(text)
  if (interruption.acceptsMeanwhile) await send('out 3')
  await interruption.begin()
  if (interruption.isNetwork) for (const text of meanwhile) await arrive(text)
  const { synapse } = setting.deployment
  if (interruption.catchesUpFirst)
    await waitFor(() => (synapse?.recoveriesOf('meshgate') ?? 0) > recoveries, { deadlineMs: DEADLINE_MS })
  await arrive('in 5')
  await send('out 4')

  const hasAll = async () => (await friend.receivedTexts()).length >= sent.length
  await waitFor(hasAll, { deadlineMs: DEADLINE_MS }).catch(() => undefined)
  const arrived = await friend.receivedTexts()
  // A bridge that isn't connected yet refuses what comes first, for now: that comes again, behind what came next.
  expect(interruption.isNetwork ? arrived.toSorted() : arrived).toEqual(sent)
  const texts = ['in 1', 'in 2', 'in 3', 'in 4', 'in 5']
  const received = await receivedTexts(user, texts.length)
  // What Synapse kept back all the same is read once more, and comes behind what it told.
  expect(interruption.catchesUpFirst ? received.toSorted() : received).toEqual(texts)
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
