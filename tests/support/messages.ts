/** The sending use cases on a database; a test replaces the rest. */
import type { Db } from '../../src/db/open.ts'
import { GatewayError } from '../../src/domain/errors.ts'
import type { Observer } from '../../src/domain/observation.ts'
import type { Bridge, Bridges } from '../../src/domain/ports.ts'
import { ACT_TYPES } from '../../src/domain/states.ts'
import { createChatRepository } from '../../src/modules/chats/chat-repository.ts'
import { createRecipientRepository } from '../../src/modules/chats/recipient-repository.ts'
import type { StagedFile } from '../../src/modules/media/media.ts'
import type { SendRequest } from '../../src/modules/sending/content/request.ts'
import { type Backlog, createBacklog } from '../../src/modules/sending/limits.ts'
import { createMessageRepository } from '../../src/modules/sending/message-repository.ts'
import type { OutboxOptions } from '../../src/modules/sending/outbox.ts'
import { createWaitingMessages } from '../../src/modules/sending/queue/lane-repository.ts'
import { createOutboxQueue } from '../../src/modules/sending/queue/queue-repository.ts'
import { createRecipients } from '../../src/modules/sending/recipients.ts'
import { createMessages, type MessagesOptions } from '../../src/modules/sending/sending.ts'
import { createMessageEndings } from '../../src/modules/sending/statuses/ending-repository.ts'
import { createStatusWriter } from '../../src/modules/sending/statuses/status-repository.ts'
import { ManualClock } from './manual-clock.ts'
import { moduleOn } from './test-module.ts'

export type MessageStore = ReturnType<typeof messageStore>

/** The message store, composed as the app does. */
export function messageStore(db: Db, observer?: Pick<Observer, 'messageSettled'>, backlog?: Backlog) {
  const statuses = createStatusWriter(observer, backlog)
  return {
    repository: createMessageRepository(db),
    waiting: createWaitingMessages(db),
    queue: createOutboxQueue(db, statuses),
    endings: createMessageEndings(db, statuses),
    phones: moduleOn(db).phones,
    recipients: createRecipients({
      repository: createRecipientRepository(db),
      chats: createChatRepository(db),
      devices: { linked: async () => [] },
      bridges: {} as Bridges,
      phones: moduleOn(db).phones,
      clock: new ManualClock(),
    }),
  }
}

export function messagesOn(store: MessageStore, change: Partial<MessagesOptions> = {}) {
  const { repository, waiting, endings, recipients } = store
  return createMessages({
    repository,
    waiting,
    endings,
    recipients,
    devices: { linked: async () => [], find: async () => null },
    bridges: {
      forPlatform: platform => {
        if (platform === 'wa' || platform === 'signal') return {} as Bridge
        throw new GatewayError(
          'bad_request',
          `platform: "${platform}" is unknown: expected one of wa, signal`,
        )
      },
    },
    media: { discard: async () => undefined, discardAll: async () => undefined },
    backlog: roomyBacklog(),
    paceOf: () => ({ intervalMs: 0, jitter: 0, burst: 1 }),
    clock: new ManualClock(),
    ...change,
  })
}

/** Everybody’s chat is in one room, or goes on in the room that it has moved to. */
export const inRoom: OutboxOptions['recipients'] = {
  resolve: async () => '!r:s',
  mentioned: async () => undefined,
  closedRooms: async (_device, _recipient, found, roomId) => (found === roomId ? [] : [found]),
  follow: async () => undefined,
  forget: async () => undefined,
}

/** For messages alone. */
export const noActs = Object.fromEntries(
  ACT_TYPES.map(type => [type, () => Promise.reject(new Error('no acts here'))]),
) as unknown as OutboxOptions['acts']

/** For messages without files. */
export const noMedia: OutboxOptions['media'] = {
  get: () => Promise.reject(new Error('no media here')),
  upload: () => Promise.reject(new Error('no media here')),
}

/** Sent by the identity and device of tests/support/rows.ts. */
export const SEND_REQUEST: SendRequest = {
  identityId: 'id_1',
  deviceId: '237',
  platform: 'wa',
  contact: '1',
  text: 'hi',
}

/** A file as an upload leaves it, of unknown kind. */
export function stagedFile(change: Partial<StagedFile> = {}): StagedFile {
  return {
    id: 'file_1',
    identityId: 'id_1',
    fileName: 'a.pdf',
    mimeType: 'application/pdf',
    sizeBytes: 1,
    width: 0,
    height: 0,
    durationMs: 0,
    blurHash: '',
    waveform: null,
    mxcUri: null,
    stored: true,
    ...change,
  }
}

function roomyBacklog() {
  const limits = { perIdentity: 1_000_000, inAll: 1_000_000 }
  return createBacklog({ limits, waiting: new Map() })
}
