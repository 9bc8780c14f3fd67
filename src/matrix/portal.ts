/** Reads a room's kind of chat from its state: m.bridge (MSC2346), name, encryption, features. */
import { z } from 'zod'
import type { RoomEvent } from '../domain/ports.ts'
import type { ChatKind } from '../domain/states.ts'
import { ROOM_FEATURES_TYPE } from './room-features.ts'

/** What a room's state says about the chat behind it; absent what it doesn't say. */
export interface RoomDescription {
  kind?: ChatKind
  /** The bridge's bot, its Matrix user id. */
  bridgeBot?: string
  /** The network's id of the chat. */
  channelId?: string
  /** The login the portal belongs to. */
  receiver?: string
  name?: string
  encrypted?: boolean
  /** Content of com.beeper.room_features (room-features.ts). */
  features?: Record<string, unknown>
}

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
const createState = z.object({ type: z.string().optional() })

const BRIDGE_TYPES = ['m.bridge', 'uk.half-shot.bridge']
const STATE_TYPES = [...BRIDGE_TYPES, 'm.room.name', 'm.room.encryption', 'm.room.create', ROOM_FEATURES_TYPE]

/** Whether an event of this type can change what `describeRoom` says. */
export function describesRoom(event: RoomEvent): boolean {
  return event.state_key !== undefined && STATE_TYPES.includes(event.type)
}

/**
 * True for state that only the bridge itself can know of a room: from anybody else it is a forgery.
 */
export function isOfBridge(event: RoomEvent): boolean {
  return event.state_key !== undefined && (isBridgeState(event) || event.type === ROOM_FEATURES_TYPE)
}

/** True when the event says which bridge's portal the room is. */
export function isBridgeState({ type }: RoomEvent): boolean {
  return BRIDGE_TYPES.includes(type)
}

/** @param state events, the newer ones later; they may be a part of the room's state */
export function describeRoom(state: readonly RoomEvent[]): RoomDescription {
  const description: RoomDescription = {}
  for (const event of state) {
    if (isBridgeState(event)) Object.assign(description, bridgeDescription(event))
    if (event.type === 'm.room.encryption') description.encrypted = true
    if (event.type === ROOM_FEATURES_TYPE) description.features = event.content
    if (event.type === 'm.room.create' && createState.safeParse(event.content).data?.type === 'm.space') {
      description.kind = 'space'
    }
  }
  // The room's own name is what people see; the bridge's name of the channel stands in for it.
  const name = state.findLast(event => event.type === 'm.room.name')
  const named = name && nameState.safeParse(name.content)
  if (named?.success) description.name = named.data.name
  return description
}

function bridgeDescription(event: RoomEvent): RoomDescription {
  const parsed = bridgeState.safeParse(event.content)
  if (!parsed.success) return {}
  const {
    bridgebot,
    channel,
    'com.beeper.room_type': roomType,
    'com.beeper.room_type.v2': roomTypeV2,
  } = parsed.data
  const type = roomTypeV2 ?? roomType
  return {
    kind: type === 'dm' ? 'dm' : type === 'space' ? 'space' : 'group',
    channelId: channel.id,
    ...(bridgebot === undefined ? {} : { bridgeBot: bridgebot }),
    ...(channel['fi.mau.receiver'] === undefined ? {} : { receiver: channel['fi.mau.receiver'] }),
    ...(channel.displayname === undefined ? {} : { name: channel.displayname }),
  }
}
