/** Reports on logins and messages: who may send them, and their effect. */
import { expect, test } from 'bun:test'
import { createStatusReceiver } from '../../../src/bridges/status-receiver.ts'
import type { SignalPayloads, StateReport } from '../../../src/domain/signals.ts'
import { Signals } from '../../../src/lib/signals.ts'

function setUp() {
  const states: [string, StateReport][] = []
  const signals = new Signals<SignalPayloads>()
  signals.on('bridge-state', (platform, state) => states.push([platform, state]))
  const passedOn: [string, ...string[]][] = []
  const receiver = createStatusReceiver({
    asTokenOf: platform => (platform === 'wa' ? 'as_wa' : undefined),
    signals,
    passedOn: async (platform, eventIds) => void passedOn.push([platform, ...eventIds]),
  })
  const report = (body: string | null, { platform = 'wa', token = 'as_wa', method = 'POST' } = {}) =>
    receiver.fetch(
      new Request(`http://gateway/_meshgate/bridge-status/${platform}`, {
        method,
        headers: { authorization: `Bearer ${token}` },
        body,
      }),
    )
  return { states, passedOn, report }
}

/** JSON as mautrix's status.BridgeState writes it. */
const CONNECTED = JSON.stringify({
  state_event: 'CONNECTED',
  timestamp: 1_777_284_000,
  ttl: 21_600,
  source: 'bridge',
  user_id: '@mgabc:localhost',
  remote_id: '237123456789',
  remote_name: '+237123456789',
  remote_profile: { phone: '+237123456789' },
})

test('a login’s state is passed on', async () => {
  const { states, report } = setUp()
  expect((await report(CONNECTED)).status).toBe(200)
  const login = { matrixUserId: '@mgabc:localhost', loginId: '237123456789' }
  expect(states).toEqual([['wa', { ...login, stateEvent: 'CONNECTED', errorCode: null }]])
})

test('a state of the bridge as a whole is passed on, and is about no login', async () => {
  const { states, report } = setUp()
  expect((await report('{"state_event":"UNCONFIGURED","timestamp":1,"ttl":21600}')).status).toBe(200)
  const nobody = { matrixUserId: null, loginId: null }
  expect(states).toEqual([['wa', { ...nobody, stateEvent: 'UNCONFIGURED', errorCode: null }]])
})

/** JSON as mautrix's status.CheckpointsJSON writes it. */
const checkpoints = (...steps: [eventId: string, step: string, status: string][]) =>
  JSON.stringify({
    checkpoints: steps.map(([event_id, step, status]) => ({
      ...{ event_id, step, status },
      room_id: '!r:localhost',
      timestamp: 1_777_284_000_000,
      event_type: 'm.room.message',
      reported_by: 'BRIDGE',
      retry_num: 0,
    })),
  })

test('messages that the network has taken are passed on, and no other step of theirs', async () => {
  const { passedOn, states, report } = setUp()
  expect(
    (await report(checkpoints(['$1', 'BRIDGE', 'SUCCESS'], ['$2', 'REMOTE', 'WILL_RETRY']))).status,
  ).toBe(200)
  expect((await report(checkpoints(['$3', 'REMOTE', 'PERM_FAILURE']))).status).toBe(200)
  expect(passedOn).toEqual([])
  const taken = checkpoints(
    ['$4', 'REMOTE', 'SUCCESS'],
    ['$5', 'BRIDGE', 'SUCCESS'],
    ['$6', 'REMOTE', 'DELIVERED'],
  )
  expect((await report(taken)).status).toBe(200)
  expect(passedOn).toEqual([['wa', '$4', '$6']])
  expect(states).toEqual([])
})

test.each([
  ['another token', CONNECTED, { token: 'as_signal' }, 401, 'M_UNKNOWN_TOKEN'],
  ['an empty token', CONNECTED, { token: '' }, 401, 'M_UNKNOWN_TOKEN'],
  ['a platform without a bridge', CONNECTED, { platform: 'signal' }, 401, 'M_UNKNOWN_TOKEN'],
  [
    'a platform without a bridge and an empty token',
    CONNECTED,
    { platform: '', token: '' },
    401,
    'M_UNKNOWN_TOKEN',
  ],
  ['another method', CONNECTED, { method: 'PUT' }, 405, 'M_UNRECOGNIZED'],
  ['no JSON', 'what?', {}, 400, 'M_BAD_JSON'],
  ['no object', '[]', {}, 400, 'M_BAD_JSON'],
  ['a user id that is none', '{"user_id":7}', {}, 400, 'M_BAD_JSON'],
  ['checkpoints that are none', '{"checkpoints":[{"event_id":7}]}', {}, 400, 'M_BAD_JSON'],
  [
    'checkpoints with another token',
    checkpoints(['$1', 'REMOTE', 'SUCCESS']),
    { token: 'x' },
    401,
    'M_UNKNOWN_TOKEN',
  ],
  ['too much', JSON.stringify({ pad: 'x'.repeat(70_000) }), {}, 413, 'M_TOO_LARGE'],
])('%s is refused', async (_, body, options, status, errcode) => {
  const { states, passedOn, report } = setUp()
  const response = await report(body, options)
  expect(response.status).toBe(status)
  expect(await response.json()).toMatchObject({ errcode })
  expect([...states, ...passedOn]).toEqual([])
})
