/**
 * Reads a room's state: m.bridge (MSC2346), name, topic, avatar, encryption, features, members,
 * tombstone.
 */
import { z } from 'zod'
import type { Fact, MembershipChange, PortalFact } from '../../domain/facts.ts'
import type { RoomEvent } from '../../domain/ports.ts'
import type { ChatKind } from '../../domain/states.ts'
import { isStateBefore } from '../room-event.ts'
import { ROOM_FEATURES_TYPE } from '../room-features.ts'

const bridgeState = z.object({
  bridgebot: z.string().optional(),
  channel: z.object({
    id: z.string(),
    displayname: z.string().optional(),
    'fi.mau.receiver': z.string().optional(),
  }),
  'com.beeper.room_type': z.string().optional(),
  'com.beeper.room_type.v2': z.string().optional(),
})
const nameState = z.object({ name: z.string() })
const topicState = z.object({ topic: z.string() })
const avatarState = z.object({ url: z.string().startsWith('mxc://').optional().catch(undefined) })
const memberState = z.object({ membership: z.string() })
const tombstone = z.object({ replacement_room: z.string().startsWith('!') })
const createState = z.object({ type: z.string().optional() })

/** @param event of state. @returns nothing when it is of no use to us, or nonsense */
export function roomFactsOf(event: RoomEvent): Fact[] {
  const { event_id: eventId, room_id: roomId, sender, content, origin_server_ts: sentAt } = event
  const told = { eventId, sentAt }
  switch (event.type) {
    case 'm.room.member':
      return memberFacts(event)
    case 'm.bridge':
    case 'uk.half-shot.bridge':
      return portalFact(event)
    case ROOM_FEATURES_TYPE:
      return [{ fact: 'features', eventId, roomId, sender, content }]
    case 'm.room.encryption':
      return [{ fact: 'room', roomId, room: { encrypted: true } }]
    case 'm.room.create':
      return createState.safeParse(content).data?.type === 'm.space'
        ? [{ fact: 'room', roomId, room: { kind: 'space' } }]
        : []
    case 'm.room.name': {
      const named = nameState.safeParse(content)
      return named.success ? [{ fact: 'room', roomId, room: { name: named.data.name }, told }] : []
    }
    case 'm.room.topic': {
      const topic = topicState.safeParse(content).data?.topic || null
      return [{ fact: 'room', roomId, room: { topic }, told }]
    }
    case 'm.room.avatar': {
      const avatar = avatarState.parse(content).url ?? null
      return [{ fact: 'room', roomId, room: { avatar }, told }]
    }
    case 'm.room.tombstone': {
      const movedTo = tombstone.safeParse(content).data?.replacement_room
      if (movedTo === undefined || movedTo === roomId) return []
      return [{ fact: 'moved', eventId, roomId, sender, movedTo }]
    }
    default:
      return []
  }
}

function memberFacts(event: RoomEvent): Fact[] {
  const { room_id: roomId, state_key: userId, content } = event
  if (userId === undefined) return []
  const { membership, displayname: name } = content
  const change = changeIn(event, typeof name === 'string' ? name : '')
  return [
    ...(typeof membership === 'string'
      ? [{ fact: 'membership', roomId, userId, membership, ...(change && { change }) } as const]
      : []),
    ...(typeof name === 'string' ? [{ fact: 'name', roomId, userId, name } as const] : []),
  ]
}

/** @returns undefined for state as it was before the events that are told */
function changeIn(event: RoomEvent, name: string): MembershipChange | undefined {
  const { event_id: eventId, sender, origin_server_ts: sentAt, unsigned } = event
  if (eventId === '' || isStateBefore(event)) return undefined
  const before = memberState.safeParse(unsigned?.prev_content).data?.membership ?? 'leave'
  return { eventId, sender, sentAt, before, name }
}

function portalFact(event: RoomEvent): PortalFact[] {
  const parsed = bridgeState.safeParse(event.content)
  if (!parsed.success) return []
  const {
    bridgebot,
    channel,
    'com.beeper.room_type': roomType,
    'com.beeper.room_type.v2': roomTypeV2,
  } = parsed.data
  return [
    {
      fact: 'portal',
      eventId: event.event_id,
      roomId: event.room_id,
      sender: event.sender,
      portal: {
        kind: kindOf(channel.id, roomTypeV2 ?? roomType),
        channelId: channel.id,
        ...(bridgebot === undefined ? {} : { bridgeBot: bridgebot }),
        ...(channel['fi.mau.receiver'] === undefined ? {} : { receiver: channel['fi.mau.receiver'] }),
        ...(channel.displayname === undefined ? {} : { name: channel.displayname }),
      },
    },
  ]
}

/** Bridges mark neither channels nor the chat of status posts: WhatsApp's ids show them. */
function kindOf(channelId: string, roomType: string | undefined): ChatKind {
  if (channelId === 'status@broadcast') return 'status'
  if (channelId.endsWith('@newsletter')) return 'channel'
  return roomType === 'dm' || roomType === 'space' ? roomType : 'group'
}
