/** Shows messages of chats: who said them, what they answer, and what was made of them since. */
import type { Chat, ChatMessage, Device } from '../../db/schema/index.ts'
import type { Poll } from '../../domain/events.ts'
import { shownStatus } from '../../domain/states.ts'
import type { ChatMessageView } from '../../domain/views/chat-message.ts'
import type { ContactView } from '../../domain/views/contact.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { oneSpelling } from '../../lib/emoji.ts'
import type { KnownPeople } from '../chats/known-people.ts'
import { contactView } from '../chats/person.ts'
import type { LinkedDevices } from '../devices/devices.ts'
import { isOwnGhost } from '../devices/ghosts.ts'
import type { MediaFiles } from '../media/media.ts'
import type { Belongings } from './conversation-repository.ts'

export interface MessageViewsOptions {
  devices: Pick<LinkedDevices, 'get'>
  people: Pick<KnownPeople, 'person'>
  media: Pick<MediaFiles, 'signedPath'>
  matrixUserOf(identityId: string): Promise<string>
  /** Base URL by which clients reach us, without a trailing slash. */
  publicUrl(): string
}

type Said = Pick<ChatMessage, 'deviceRowId' | 'direction' | 'senderUserId'>

/** Makes the views of a page; whoever speaks is looked up once. */
export function createMessageViews({ devices, people, media, matrixUserOf, publicUrl }: MessageViewsOptions) {
  return ({ related, answered, sent }: Belongings) => {
    const known = new Map<string, Promise<ContactView>>()

    function senderOf(said: Said, chat: Chat): Promise<ContactView> {
      const key =
        said.direction === 'out' ? `${said.deviceRowId} own` : `${said.deviceRowId} ${said.senderUserId}`
      const found = known.get(key) ?? lookUp(said, chat)
      known.set(key, found)
      return found
    }

    async function lookUp({ deviceRowId, direction, senderUserId }: Said, chat: Chat): Promise<ContactView> {
      const device = await devices.get(deviceRowId)
      if (direction === 'out' && device) return ownView(device)
      // The bot is nobody: it speaks for its channel.
      if (senderUserId === chat.bridgeBot || !device) return nobody(chat)
      return people.person(device, senderUserId, chat.kind === 'dm' ? chat.name : '')
    }

    async function reactionsTo(eventId: string, chat: Chat): Promise<ChatMessageView['reactions']> {
      const reactions: ChatMessageView['reactions'] = []
      const seen = new Set<string>()
      for (const row of related.get(eventId) ?? []) {
        const emoji = oneSpelling(row.text)
        const key = `${row.direction === 'out' ? '' : row.senderUserId} ${emoji}`
        if (row.kind !== 'reaction' || seen.has(key)) continue
        seen.add(key)
        reactions.push({ emoji, sender: await senderOf(row, chat), timestamp: rfc3339(row.sentAt) })
      }
      return reactions
    }

    /** @param poll without its votes. Of somebody's votes the last counts */
    function withVotes(poll: Poll | undefined, eventId: string): Poll | null {
      if (!poll) return null
      const votes = new Map(
        (related.get(eventId) ?? [])
          .filter(({ kind }) => kind === 'vote')
          .map(row => [row.direction === 'out' ? '' : row.senderUserId, row.content?.vote?.options ?? []]),
      )
      const chosen = [...votes.values()].flat()
      const options = poll.options.map(option => ({
        ...option,
        votes: chosen.filter(({ id }) => id === option.id).length,
      }))
      return { ...poll, options }
    }

    /** Bridges mention the account by its identity or by its ghost. */
    async function mentionedBy({ deviceRowId, identityId, content }: ChatMessage, chat: Chat) {
      const mentioned = content?.mentions ?? []
      if (mentioned.length === 0) return []
      const device = await devices.get(deviceRowId)
      const self = await matrixUserOf(identityId)
      return Promise.all(
        mentioned.map(senderUserId => {
          const isOwn = senderUserId === self || (device && isOwnGhost(senderUserId, device))
          return senderOf({ deviceRowId, senderUserId, direction: isOwn ? 'out' : 'in' }, chat)
        }),
      )
    }

    async function quotedBy({ replyTo }: ChatMessage, chat: Chat): Promise<ChatMessageView['quoted']> {
      const row = replyTo === null ? undefined : answered.get(replyTo)
      return row ? { text: row.text, sender: await senderOf(row, chat) } : null
    }

    return async (row: ChatMessage, chat: Chat): Promise<ChatMessageView> => {
      const { eventId, content, mediaId, messageId } = row
      const own = messageId === null ? undefined : sent.get(messageId)
      return {
        id: messageId ?? eventId,
        event_id: eventId,
        chat_id: chat.id,
        direction: row.direction,
        sender: await senderOf(row, chat),
        kind: row.kind,
        text: row.text,
        format: content?.format ?? 'plain',
        mentions: await mentionedBy(row, chat),
        media: content?.media ? mediaView(content.media, mediaId) : null,
        location: content?.location ?? null,
        reply_to: row.replyTo,
        quoted: await quotedBy(row, chat),
        reactions: await reactionsTo(eventId, chat),
        poll: withVotes(content?.poll, eventId),
        edited_at: row.editedAt === null ? null : rfc3339(row.editedAt),
        deleted_at: row.deletedAt === null ? null : rfc3339(row.deletedAt),
        status: own ? shownStatus(own.status) : null,
        metadata: own?.metadata ?? null,
        timestamp: rfc3339(row.sentAt),
      }
    }
  }

  function mediaView(
    { mxcUri: _, ...info }: NonNullable<NonNullable<ChatMessage['content']>['media']>,
    mediaId: string | null,
  ): ChatMessageView['media'] {
    return { ...info, url: mediaId === null ? null : `${publicUrl()}${media.signedPath(mediaId)}` }
  }
}

function ownView({ loginId, ownName, name, phone, ghostUserId }: Device): ContactView {
  return contactView({
    id: phone ?? loginId,
    name: ownName ?? name,
    phone,
    nativeIds: [loginId],
    matrixUserId: ghostUserId,
    roomId: null,
    identifiers: phone === null ? [] : [`tel:+${phone}`],
  })
}

function nobody({ channelId, roomId, name }: Chat): ContactView {
  const id = channelId ?? roomId
  return contactView({ id, name, phone: null, nativeIds: [], matrixUserId: null, roomId, identifiers: [] })
}
