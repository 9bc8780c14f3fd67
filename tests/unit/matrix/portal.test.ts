/** What a room's state says about its chat, and what a bridge reports about a message. */
import { describe, expect, test } from 'bun:test'
import type { RoomEvent } from '../../../src/domain/ports.ts'
import { messageStatusOf } from '../../../src/matrix/message-status.ts'
import { describeRoom, describesRoom, isOfBridge } from '../../../src/matrix/portal.ts'

function state(type: string, content: Record<string, unknown>): RoomEvent {
  return {
    event_id: '$1',
    room_id: '!r:s',
    sender: '@bot:s',
    type,
    state_key: '',
    origin_server_ts: 1,
    content,
  }
}
const bridge = (more: Record<string, unknown> = {}, channel: Record<string, unknown> = {}) =>
  state('m.bridge', {
    bridgebot: '@bot:s',
    protocol: { id: 'whatsapp' },
    channel: { id: '1@s', ...channel },
    ...more,
  })

test('only the bridge itself says that a room is its own, and what its network takes', () => {
  const types = ['m.bridge', 'uk.half-shot.bridge', 'com.beeper.room_features', 'm.room.name']
  expect(types.map(type => isOfBridge(state(type, {})))).toEqual([true, true, true, false])
})

describe('describeRoom', () => {
  test('a direct chat of one login', () => {
    const event = bridge({ 'com.beeper.room_type': 'dm' }, { displayname: 'Ann', 'fi.mau.receiver': '237' })
    expect(describeRoom([event])).toEqual({
      kind: 'dm',
      bridgeBot: '@bot:s',
      channelId: '1@s',
      receiver: '237',
      name: 'Ann',
    })
  })

  test('without a room type it is a group; the room name wins over the channel name', () => {
    expect(
      describeRoom([state('m.room.name', { name: 'Hikers' }), bridge({}, { displayname: 'x' })]),
    ).toMatchObject({
      kind: 'group',
      name: 'Hikers',
    })
  })

  test('spaces and encrypted rooms are known as such', () => {
    expect(describeRoom([state('m.room.create', { type: 'm.space' })]).kind).toBe('space')
    expect(describeRoom([bridge({ 'com.beeper.room_type': 'space' })]).kind).toBe('space')
    expect(describeRoom([state('m.room.encryption', { algorithm: 'x' })]).encrypted).toBe(true)
  })

  test('nonsense describes nothing', () => {
    expect(describeRoom([state('m.bridge', { channel: 'none' }), state('m.room.name', {})])).toEqual({})
    expect(describesRoom({ ...bridge(), state_key: undefined })).toBe(false)
  })
})

describe('messageStatusOf', () => {
  const ABOUT = { eventId: '$m', sender: '@bot:s' }
  const report = (content: Record<string, unknown>) =>
    messageStatusOf({
      ...state('com.beeper.message_send_status', { 'm.relates_to': { event_id: '$m' }, ...content }),
      state_key: undefined,
    })

  test.each([
    [{ status: 'SUCCESS' }, { ...ABOUT, status: 'sent', reason: null }],
    [
      { status: 'SUCCESS', delivered_to_users: ['@a:s'] },
      { ...ABOUT, status: 'delivered', reason: null },
    ],
    [
      { status: 'FAIL_PERMANENT', reason: 'm.no_permission', message: 'You are not in the group' },
      { ...ABOUT, status: 'failed', reason: 'You are not in the group (m.no_permission)' },
    ],
    [
      { status: 'FAIL_RETRIABLE', reason: 'm.foreign_network_error' },
      { ...ABOUT, status: 'queued', reason: 'the network refused it (m.foreign_network_error)' },
    ],
  ])('%o', (content, expected) => {
    expect(report(content)).toEqual(expected as never)
  })

  test('pending and nonsense change nothing', () => {
    expect(report({ status: 'PENDING' })).toBeNull()
    expect(report({ status: 'MAYBE' })).toBeNull()
  })
})
