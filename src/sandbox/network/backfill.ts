/** Gives a newly linked device the end of each of its chats. */
import type { NetworkStore } from './store.ts'
import type { Delivery, Login } from './types.ts'

/** Messages of each chat. */
const BACKFILL_PER_CHAT = 50

/** Adds deliveries of the end of each chat to a new login, except messages its rooms have. */
export function backfill(store: NetworkStore, login: Login): Delivery[] {
  return (
    store
      .chatsOfPhone(login.phone)
      // No bridge fetches old status posts.
      .filter(chat => chat.platform === login.platform && chat.group?.kind !== 'status')
      .flatMap(chat => store.lastMessages(login.phone, chat.id, BACKFILL_PER_CHAT))
      .filter(message => !store.isInPortal(message.id, login.id, message.chatId))
      .sort((one, other) => one.seq - other.seq)
      .flatMap(message => store.addDelivery(login, message.chatId, message.seq, true))
  )
}
