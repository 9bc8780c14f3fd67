/** Reads a room's state: m.bridge (MSC2346), name, encryption, features, members, tombstone. */
import { z } from 'zod'
import type { Fact, PortalFact } from '../../domain/facts.ts'
import type { RoomEvent } from '../../domain/ports.ts'
import type { ChatKind } from '../../domain/states.ts'
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
const tombstone = z.object({ replacement_room: z.string().startsWith('!') })
const createState = z.object({ type: z.string().optional() })

/** @param event of state. @returns nothing when it is of no use to us, or nonsense */
export function roomFactsOf(event: RoomEvent): Fact[] {
  const { event_id: eventId, room_id: roomId, sender, content } = event
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
      return named.success ? [{ fact: 'room', roomId, room: { name: named.data.name } }] : []
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

function memberFacts({ room_id: roomId, state_key: userId, content }: RoomEvent): Fact[] {
  if (userId === undefined) return []
  const { membership, displayname: name } = content
  return [
    ...(typeof membership === 'string' ? [{ fact: 'membership', roomId, userId, membership } as const] : []),
    ...(typeof name === 'string' ? [{ fact: 'name', roomId, userId, name } as const] : []),
  ]
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
