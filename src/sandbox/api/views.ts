/** Phones, chats and messages as answers show them. */
import { rfc3339 } from '../../lib/clock.ts'
import type { Network } from '../network/network.ts'
import type { NetworkStore } from '../network/store.ts'
import type { Chat, Group, Media, Message, Phone, Poll } from '../network/types.ts'
import { inviteLinkOf, platformFacts } from '../platforms.ts'

export function phoneView(store: NetworkStore, phone: Phone) {
  return {
    phone: phone.phone,
    name: phone.name,
    echo: phone.echo,
    platforms: phone.platforms,
    two_factor: phone.twoFactor !== null,
    avatar_url: phone.avatarId === null ? null : mediaUrl(phone.avatarId),
    linked: linkedViews(store, phone),
  }
}

/** Includes the address book, which lists omit. */
export function phoneDetailView(store: NetworkStore, phone: Phone) {
  return { ...phoneView(store, phone), contacts: store.contacts(phone.phone) }
}

function linkedViews(store: NetworkStore, { phone, platforms }: Phone) {
  return platforms
    .map(platform => store.loginOfPhone(platformFacts(platform), phone))
    .filter(login => login !== undefined)
    .map(({ platform, id, userId, linkedAt }) => ({
      platform,
      login_id: id,
      user_id: userId,
      linked_at: rfc3339(linkedAt),
    }))
}

export function groupView({ platform, members, disappearingS }: Chat, group: Group) {
  const { groupId: id, name, inviteCode, kind, owner, topic, avatarId, admins } = group
  return {
    id,
    platform,
    name,
    kind,
    owner,
    invite_code: inviteCode,
    invite_link: inviteLinkOf(platformFacts(platform), group),
    topic,
    avatar_url: avatarId === null ? null : mediaUrl(avatarId),
    disappearing_s: disappearingS,
    members,
    admins,
  }
}

function mediaUrl(mediaId: string): string {
  return `/sandbox/api/media/${mediaId}`
}

/** A chat's name on one of its phones: the group's, or the other phone's. */
function chatName(store: NetworkStore, phone: string, chat: Chat): string {
  return chat.group?.name ?? personName(store, phone, peerOf(phone, chat))
}

function personName(store: NetworkStore, viewer: string, phone: string): string {
  return store.contactName(viewer, phone) ?? store.phone(phone).name
}

function peerOf(phone: string, chat: Chat): string {
  return chat.members.find(member => member !== phone) ?? phone
}

/** A chat as one of its phones shows it. */
export function chatView({ store, typists }: Network, phone: string, chat: Chat) {
  const [last] = store.lastMessages(phone, chat.id, 1)
  return {
    id: chat.group?.groupId ?? peerOf(phone, chat),
    name: chatName(store, phone, chat),
    platform: chat.platform,
    group: chat.group !== null,
    members: chat.members,
    disappearing_s: chat.disappearingS,
    blocked: store.blockers(chat.id).includes(phone),
    typing: typists(chat.id).filter(typist => typist !== phone),
    unread: store.unread(phone, chat.id),
    last_message: last ? messageView(store, phone, last, chat) : null,
  }
}

/** A message as one phone shows it. */
export function messageView(store: NetworkStore, viewer: string, message: Message, chat: Chat) {
  return {
    id: message.id,
    from: message.sender,
    from_name: personName(store, viewer, message.sender),
    to: chat.group?.groupId ?? peerOf(message.sender, chat),
    chat: chat.group?.groupId ?? peerOf(viewer, chat),
    group: chat.group ? { id: chat.group.groupId, name: chat.group.name } : null,
    platform: chat.platform,
    type: message.type,
    text: message.text,
    file: message.media ? fileView(message.media, message.fileName) : null,
    reply_to: message.replyTo ?? null,
    html: message.html ?? null,
    mentions: message.mentions ?? [],
    link_preview: message.isWithoutPreview ? false : null,
    location:
      message.latitude == null || message.longitude == null
        ? null
        : { latitude: message.latitude, longitude: message.longitude },
    reaction:
      message.type === 'reaction' ? { message: message.target ?? '', emoji: message.emoji ?? '' } : null,
    poll: message.poll ? pollView(store, message.id, message.poll) : null,
    vote: message.options ? { message: message.target ?? '', options: message.options } : null,
    call: message.isVideo === undefined ? null : { video: message.isVideo },
    edits: message.type === 'edit' ? (message.target ?? null) : null,
    deletes: message.type === 'delete' ? (message.target ?? null) : null,
    reactions: store.reactions(message.id),
    edited: message.editedAt !== null,
    deleted: message.deletedAt !== null,
    read_by: store.readers(chat.id, message.seq).filter(phone => phone !== message.sender),
    // Only linked devices wait for a message: phones have it at once.
    status: store.isPending(message.seq) ? 'sent' : 'delivered',
    timestamp: rfc3339(message.sentAt),
  }
}

function pollView(store: NetworkStore, messageId: string, { question, options, maxSelections }: Poll) {
  return { question, options, max_selections: maxSelections, votes: store.votes(messageId) }
}

function fileView(media: Media, fileName: string | null | undefined) {
  return {
    name: fileName ?? media.name,
    mime_type: media.mimeType,
    size: media.sizeBytes,
    url: mediaUrl(media.id),
    width: media.width,
    height: media.height,
    duration_ms: media.durationMs,
  }
}
