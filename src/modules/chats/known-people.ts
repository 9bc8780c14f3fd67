/** Shows people as far as the database knows them: nobody is asked. */
import type { Device } from '../../db/schema/index.ts'
import { remoteIdOf } from '../../domain/ghosts.ts'
import type { ContactView } from '../../domain/views/contact.ts'
import { ghostNamingOf } from '../devices/ghosts.ts'
import type { Avatars } from '../media/avatars.ts'
import type { ChatRepository } from './chat-repository.ts'
import type { PeopleRepository } from './people-repository.ts'
import { contactView } from './person.ts'
import { type PeoplesPhones, userOfChannel } from './phones.ts'

export interface KnownPeopleOptions {
  repository: Pick<PeopleRepository, 'findContact' | 'nameOf'>
  phones: Pick<PeoplesPhones, 'of' | 'idsOf'>
  chats: Pick<ChatRepository, 'directWith'>
  avatars: Pick<Avatars, 'urlOf'>
}

export type KnownPeople = ReturnType<typeof createKnownPeople>

export function createKnownPeople({ repository, phones, chats, avatars }: KnownPeopleOptions) {
  return {
    /**
     * @param device as whose contact they are shown
     * @param name by which they are called where nobody knows another
     * @param avatarUri mxc:// URI of their picture; null: that of the chat with them, if any
     */
    async person(
      device: Device,
      matrixUserId: string,
      name = '',
      avatarUri: string | null = null,
    ): Promise<ContactView> {
      const phone = await phones.of(device, matrixUserId)
      const contact = await repository.findContact(device.id, matrixUserId, phone)
      const id = remoteIdOf(matrixUserId, ghostNamingOf(device)) ?? matrixUserId
      const others = phone === null ? [] : await phones.idsOf(device, phone)
      const called = contact?.name || (await repository.nameOf(matrixUserId)) || name
      const direct = await chats.directWith(device, matrixUserId)
      const person = {
        id,
        name: called,
        phone: phone ?? contact?.phone ?? null,
        nativeIds: [...new Set([id, ...others])],
        matrixUserId,
        roomId: direct?.roomId ?? null,
        identifiers: phone === null ? [] : [`tel:+${phone}`],
      }
      return contactView(person, avatars.urlOf(device.identityId, avatarUri ?? direct?.avatar ?? null))
    },

    userOfChannel,
  }
}
