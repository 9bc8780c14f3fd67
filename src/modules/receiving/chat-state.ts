/** A plan's view of a chat, and how events about ourselves change our place in it. */
import type { Chat } from '../../db/schema/index.ts'
import type { ChatMembership } from '../../domain/states.ts'

export type ChatState = Pick<
  Chat,
  | 'identityId'
  | 'roomId'
  | 'membership'
  | 'kind'
  | 'platform'
  | 'bridgeBot'
  | 'channelId'
  | 'receiver'
  | 'name'
  | 'encrypted'
  | 'peer'
  | 'features'
>

export function newChat(identityId: string, roomId: string): ChatState {
  return {
    identityId,
    roomId,
    membership: 'invited',
    kind: 'other',
    platform: null,
    bridgeBot: null,
    channelId: null,
    receiver: null,
    name: '',
    encrypted: false,
    peer: null,
    features: null,
  }
}

/** @returns our membership after a member event about us, undefined when it doesn't change */
export function membershipAfter(
  before: ChatMembership | undefined,
  event: unknown,
): ChatMembership | undefined {
  if (event === 'invite') return before === 'joined' || before === 'joining' ? undefined : 'invited'
  // A room we made ourselves or were put into has no invitation to answer, but all the rest to find
  // out.
  if (event === 'join') return before === undefined || before === 'left' ? 'joining' : undefined
  return before !== undefined && (event === 'leave' || event === 'ban') ? 'left' : undefined
}
