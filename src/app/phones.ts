/** The linked accounts: linking them, what becomes of them, and whom they know. */
import type { BridgeSet } from '../bridges/bridges.ts'
import type { MatrixSessions } from '../domain/ports.ts'
import type { ChatRepository } from '../modules/chats/chat-repository.ts'
import { createContactRepository } from '../modules/chats/contact-repository.ts'
import { createContacts } from '../modules/chats/contacts.ts'
import { createDirectory } from '../modules/chats/directory.ts'
import { createPhoneRepository } from '../modules/chats/phone-repository.ts'
import { createPeoplesPhones } from '../modules/chats/phones.ts'
import { createDeviceProbe } from '../modules/devices/device-probe.ts'
import { createDeviceRepository } from '../modules/devices/device-repository.ts'
import { createDevices } from '../modules/devices/devices.ts'
import { createLinking } from '../modules/devices/linking.ts'
import { createPlatforms } from '../modules/devices/platforms.ts'
import { rememberDevices } from '../modules/devices/remembered-devices.ts'
import type { AppContext } from './context.ts'
import type { KnownIdentities } from './identities.ts'

export type Phones = ReturnType<typeof createPhones>

export interface PhoneParts extends KnownIdentities {
  bridges: BridgeSet
  accountTrouble: MatrixSessions['accountTrouble']
  chats: ChatRepository
}

export function createPhones({ db, signals, clock, logger }: AppContext, parts: PhoneParts) {
  const { bridges, identities, matrixUserOf, chats } = parts
  const contacts = createContacts({
    repository: createContactRepository(db),
    bridges,
    matrixUserOf,
    clock,
    logger,
  })
  const peoplesPhones = createPeoplesPhones({
    repository: createPhoneRepository(db),
    bridges,
    matrixUserOf,
    clock,
    logger,
  })
  const repository = rememberDevices(createDeviceRepository(db), clock)
  const devices = createDevices({
    repository,
    bridges,
    matrixUserOf,
    identityOf: async userId => (await identities.findByUser(userId))?.id ?? null,
    accountTrouble: parts.accountTrouble,
    contacts,
    phones: peoplesPhones,
    signals,
    clock,
    logger,
  })
  return {
    contacts,
    peoplesPhones,
    devices,
    linking: createLinking({ bridges, devices, clock, logger }),
    platforms: createPlatforms({ bridges, clock }),
    directory: createDirectory({ bridges, devices, chats, phones: peoplesPhones, matrixUserOf }),
    workers: [createDeviceProbe({ devices, repository, bridges, clock, logger })],
  }
}
