/** States of logins: a time-lock for new chats, and connections that take their time. */
import { expect, test } from 'bun:test'
import { waitFor } from '../../../support/wait-for.ts'
import { PLATFORM } from '../cases/setting.ts'
import { newChat, type SceneOf } from './scene.ts'

interface Whoami {
  logins: { id: string; state: { state_event: string; info?: Record<string, unknown> } }[]
}

export function stateCases(scene: SceneOf): void {
  const stateOf = async (user: string, login: string) => {
    const { body } = await scene().bridge.get<Whoami>(user, '/whoami')
    return body.logins.find(({ id }) => id === login)?.state
  }

  test('a time-lock is told with the state, and lets only those be written to who are known', async () => {
    const { bridge, testnet } = scene()
    const { user, phone, friend, portal } = await newChat(scene())
    const until = new Date(Date.now() + 3_600_000).toISOString()
    await phone.change({ timelock_until: until })
    const state = await waitFor(async () => {
      const current = await stateOf(user, phone.id)
      return current?.info && 'reachout_timelock_until' in current.info && current
    })
    expect(state).toMatchObject({ state_event: 'CONNECTED' })
    expect(new Date(String(state.info?.reachout_timelock_until)).toISOString()).toBe(until)

    const answer = await bridge.send(user, portal.id, 'm.room.message', { msgtype: 'm.text', body: 'known' })
    expect(await portal.statusOf(answer)).toMatchObject({ status: 'SUCCESS' })
    await friend.waitForText('known')
    const stranger = await testnet.newPhone()
    await bridge.post(user, `/create_dm/${stranger.number}`)
    const empty = await bridge.portal(stranger.id)
    await empty.user()
    const first = await bridge.send(user, empty.id, 'm.room.message', { msgtype: 'm.text', body: 'new' })
    expect(await empty.statusOf(first)).toMatchObject({
      status: 'FAIL_PERMANENT',
      reason: 'testnet-reachout-timelock',
      message: expect.stringContaining("can't start new chats until"),
    })
    await phone.change({ timelock_until: '0001-01-01T00:00:00Z' })
    await waitFor(async () => (await stateOf(user, phone.id))?.info === undefined)
  })

  test('after a restart a login takes its time to connect, and is connecting until then', async () => {
    const { deployment, testnet } = scene()
    const { user, phone } = await newChat(scene())
    await testnet.change({ connect_delay_ms: 1_000 })
    const program = deployment.bridge(PLATFORM)
    await program.kill()
    await program.start()
    await waitFor(async () => (await stateOf(user, phone.id))?.state_event === 'CONNECTING')
    await waitFor(async () => (await stateOf(user, phone.id))?.state_event === 'CONNECTED')
    await testnet.change({ connect_delay_ms: 0 })
  })
}
