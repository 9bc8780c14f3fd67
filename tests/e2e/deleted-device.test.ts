/** Deleting the device stops a wrong blast, whatever happens afterwards. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import type { MessageView } from '../../src/domain/views/message.ts'
import { GatewayClient } from '../support/gateway-client.ts'
import { spawnGateway } from '../support/gateway-process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

setDefaultTimeout(60_000)

const RECIPIENTS = 200
const BURST = 2
/** Longer than the test, which fails if failures or later sends wait for the pace. */
const env = { SEND_INTERVAL_MS: '600000', SEND_BURST: String(BURST) }
const REASON = 'the device was deleted'

test.each(['goes on', 'is killed'])('nothing of it is sent any more, when the process %s', async fate => {
  using directory = tempDir()
  let gateway = await spawnGateway({ directory: directory.path, env })
  try {
    let client = new GatewayClient(gateway)
    const {
      device,
      account: { token },
    } = await client.linkedAccount()
    const account = () => client.accountOf(token)
    const blasted = async () =>
      (await account().api.get<MessageView[]>('/api/v1/messages?limit=1000')).body.filter(
        ({ to }) => to !== friend.number,
      )
    const countOf = async (wanted: MessageView['status'][]) =>
      (await blasted()).filter(({ status }) => wanted.includes(status)).length
    const friend = await client.newPhone()
    const contact = Array.from({ length: RECIPIENTS }, (_, index) => `${49_151_000_000 + index}`).join(',')
    await account().send(device, { contact, text: 'wrong' })
    await waitFor(async () => (await countOf(['queued', 'sending'])) === RECIPIENTS - BURST, {
      what: 'the burst to be over',
    })

    await account().api.delete('/api/v1/devices', { device_id: device, platform: 'wa' })
    if (fate === 'is killed') {
      await gateway.kill()
      gateway = await spawnGateway({ directory: directory.path, env })
      client = new GatewayClient(gateway)
    }
    await account().link(device)
    await waitFor(async () => (await countOf(['queued', 'sending'])) === 0, {
      what: 'the blast to have failed',
    })
    expect((await blasted()).filter(({ reason }) => reason === REASON)).toHaveLength(RECIPIENTS - BURST)

    const [sent] = await account().send(device, { contact: friend.number, text: 'right' })
    const isDueSoon = async () => {
      const { due_at } = await account().message(sent?.id ?? '')
      return due_at !== null && Date.parse(due_at) < Date.now() + 2 * Number(env.SEND_INTERVAL_MS)
    }
    await waitFor(isDueSoon, { what: 'its turn to be one of the next' })
  } finally {
    await gateway.kill()
  }
})
