/** Statuses of a message, from reports of bridge and network. */
import { expect, test } from 'bun:test'
import type { StatusEvent } from '../../../../src/domain/events.ts'
import { InboxReader } from '../../../support/inbox-reader.ts'
import { linkedUser, type SettingOf } from './setting.ts'

export function statusCases(setting: SettingOf): void {
  test('sent, delivered and read follow what the phone does', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone({ receipts: '' })
    const [accepted] = await user.account.send(user.device, { contact: friend.number, text: 'read me' })
    const id = accepted?.id ?? ''
    const { id: message } = await friend.waitForText('read me')
    await user.account.waitForStatus(id, ['sent'])
    await friend.receipt(message, 'delivered')
    await user.account.waitForStatus(id, ['delivered'])
    await friend.receipt(message, 'read')
    await user.account.waitForStatus(id, ['read'])
  })

  test('it is being sent until the network has answered, and a webhook that asks hears of each status', async () => {
    await using user = await linkedUser(setting())
    await using statuses = await InboxReader.of<StatusEvent>(user.account, ['message.status'])
    const friend = await setting().testnet.newPhone({ receipts: '' })
    await user.phone.setOutcomes({ outcome: 'hold' })
    const [accepted] = await user.account.send(user.device, { contact: friend.number, text: 'on its way' })
    const id = accepted?.id ?? ''
    const held = await user.phone.held()
    await user.account.waitForStatus(id, ['sending'])
    expect(statuses.unread).toBe(0)
    await user.phone.release(held.id)
    expect(await statuses.next()).toMatchObject({ event: 'message.status', id, status: 'sent', reason: null })
    await friend.receipt(held.id, 'delivered')
    expect(await statuses.next()).toMatchObject({ id, status: 'delivered' })
    await friend.receipt(held.id, 'read')
    expect(await statuses.next()).toMatchObject({ id, status: 'read', to: friend.number })
  })

  test('refused for now: sent again until it is taken, and there once', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    await user.phone.setOutcomes({ outcome: 'retriable', reason: 'busy', message: 'try later' })
    const [first] = await user.account.send(user.device, { contact: friend.number, text: 'patience' })
    await user.account.waitForStatus(first?.id ?? '', ['delivered'])
    await user.account.send(user.device, { contact: friend.number, text: 'after it' })
    await friend.waitForText('after it')
    expect(await friend.receivedTexts()).toEqual(['patience', 'after it'])
  })

  test('refused for good: failed, with what the network said, and the next one goes', async () => {
    await using user = await linkedUser(setting())
    await using statuses = await InboxReader.of<StatusEvent>(user.account, ['message.status'])
    const friend = await setting().testnet.newPhone()
    await user.phone.setOutcomes({ outcome: 'permanent', reason: 'banned', message: 'you are banned' })
    const [first] = await user.account.send(user.device, { contact: friend.number, text: 'never' })
    const { reason } = await user.account.waitForStatus(first?.id ?? '', ['failed'])
    expect(reason).toContain('you are banned')
    expect(await statuses.next()).toMatchObject({
      id: first?.id ?? '',
      status: 'failed',
      reason: expect.stringContaining('you are banned'),
    })
    const [second] = await user.account.send(user.device, { contact: friend.number, text: 'still' })
    await user.account.waitForStatus(second?.id ?? '', ['delivered'])
    expect(await friend.receivedTexts()).toEqual(['still'])
  })

  test('without a word of the bridge it is sending, then sent by time-out; what comes later still counts', async () => {
    await using user = await linkedUser(setting())
    const friend = await setting().testnet.newPhone()
    await user.phone.setOutcomes({ outcome: 'hold' })
    const [accepted] = await user.account.send(user.device, { contact: friend.number, text: 'hello?' })
    const id = accepted?.id ?? ''
    const held = await user.phone.held()
    expect((await user.account.message(id)).status).toBe('sending')
    expect((await user.account.waitForStatus(id, ['sent'])).reason).toBe('status_timeout')
    expect(await friend.receivedTexts()).toEqual([])
    await user.phone.release(held.id)
    await friend.waitForText('hello?')
    expect((await user.account.waitForStatus(id, ['delivered'])).reason).toBeNull()
  })
}
