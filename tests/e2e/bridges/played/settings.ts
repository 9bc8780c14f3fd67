/** The bridge's settings for polls, calls and status posts, and profiles set field by field. */
import { expect, test } from 'bun:test'
import { STATUS_BROADCAST } from '../../../support/testnet.ts'
import { newChat, type SceneOf } from './scene.ts'

/** As openScene is asked to set them. */
export const SETTINGS = {
  'bridge.phone_numbers_in_profile': 'true',
  'matrix.ghost_extra_profile_info': 'true',
  'network.extev_polls': 'true',
  'network.call_start_notices': 'false',
  'network.enable_status_broadcast': 'false',
}

export function settingCases(scene: SceneOf): void {
  test('a poll has the type of one', async () => {
    const { phone, friend, portal } = await newChat(scene())
    await friend.send({ to: phone.id, type: 'poll', poll: { question: 'Where?', options: ['a', 'b'] } })
    const poll = await portal.waitForEvent(({ type }) => type === 'org.matrix.msc3381.poll.start')
    expect(poll.content['org.matrix.msc3381.poll.start']).toMatchObject({ max_selections: 2 })
  })

  test('neither calls nor status posts are told', async () => {
    const { bridge } = scene()
    const { phone, friend, portal } = await newChat(scene())
    await phone.change({ contacts: [friend.number] })
    await friend.call({ to: phone.id })
    await friend.send({ group: STATUS_BROADCAST, text: 'at the seaside' })
    await friend.send({ to: phone.id, text: 'after it' })
    await portal.waitForBody('after it')
    expect((await portal.events()).some(({ content }) => 'com.beeper.action_message' in content)).toBe(false)
    expect(await bridge.portals(STATUS_BROADCAST)).toEqual([])
  })

  test('fields of a profile are set one by one', async () => {
    const { bridge } = scene()
    const { friend, portal } = await newChat(scene(), { lid: true })
    const { sender } = await portal.waitForBody('hello')
    expect(await bridge.profile(sender)).toMatchObject({
      'com.beeper.bridge.identifiers': [`tel:+${friend.number}`],
      'com.beeper.bridge.remote_id': `lid-${friend.lid}`,
    })
  })
}
