/** Minimal stand-ins for the services behind the routes; they record their calls. */
import { createHash } from 'node:crypto'
import type { Db } from '../../src/db/open.ts'
import { GatewayError } from '../../src/domain/errors.ts'
import { ACTION_EXAMPLE, type ActionView } from '../../src/domain/views/action.ts'
import type { ContactView } from '../../src/domain/views/contact.ts'
import type { ListedDevice } from '../../src/domain/views/device.ts'
import type { LinkEvent, LinkView } from '../../src/domain/views/link.ts'
import type { PlatformView } from '../../src/domain/views/platform.ts'
import type { HttpServices } from '../../src/http/services.ts'
import type { MessageRef } from '../../src/modules/actions/actions.ts'
import { stateOf } from '../../src/modules/devices/link-events.ts'
import type { LinkRequest } from '../../src/modules/devices/linking.ts'
import type { Recorder } from '../../src/modules/idempotency/types.ts'
import type { SendRequest } from '../../src/modules/sending/content/request.ts'
import { stagedFile } from './messages.ts'

export const DEVICE: ListedDevice = {
  id: 'dev_1',
  platform: 'wa',
  device_id: '237123456789',
  state: 'connected',
  reason: null,
  since: '2026-04-27T10:00:00Z',
  name: 'Ada',
  phone: '237123456789',
  linked_at: '2026-04-27T10:00:00Z',
  restricted: null,
}

export const ANN: ContactView = {
  id: '4915112345678',
  name: 'Ann',
  phone: '4915112345678',
  native_ids: ['4915112345678'],
  matrix_id: '@whatsapp_4915112345678:localhost',
  room: null,
  identifiers: ['tel:+4915112345678'],
  avatar_url: null,
}

export const PLATFORM: PlatformView = {
  platform: 'wa',
  name: 'WhatsApp',
  state: 'available',
  reason: null,
  driver: 'provisioning',
  bot: '@whatsappbot:localhost',
  flows: [{ id: 'qr', name: 'QR', description: 'Scan it' }],
  capabilities: null,
}

/** A link that a test drives. */
class FakeLink {
  readonly id = 'lnk_1'
  started: ({ identityId: string } & LinkRequest)[] = []
  answers: Record<string, string>[] = []
  /** Answers wait for this, as for a slow bridge. */
  bridge: Promise<void> = Promise.resolve()
  latest: LinkEvent | null = null
  underWay = false
  listeners = new Set<(event: LinkEvent) => void>()

  emit(event: LinkEvent): void {
    this.latest = event
    for (const listener of this.listeners) listener(event)
  }

  /** @throws GatewayError unless the link is the identity's */
  viewFor(identityId: string, id: string): LinkView {
    const owner = this.started.at(-1)
    if (id !== this.id || owner?.identityId !== identityId || this.latest === null)
      throw new GatewayError('not_found', `there is no link ${id}`)
    return {
      id,
      platform: 'wa',
      flow: 'qr',
      state: stateOf(this.latest),
      step: this.latest,
      created_at: '2026-04-27T10:00:00Z',
      expires_at: '2026-04-27T10:30:00Z',
    }
  }
}

export interface UploadRecord {
  fileName: string
  mimeType: string
  size: number
  sha256: string
}

export function fakeServices(db: Pick<Db, 'write'>, maxBytes: number) {
  const link = new FakeLink()
  const sends: SendRequest[] = []
  const uploads: UploadRecord[] = []
  /** Queries to the directory. */
  const asked: Record<string, unknown>[] = []
  const listed: { limit: number; before: string | undefined }[] = []
  /** Ids of files staged, and neither accepted nor discarded. */
  const onDisk = new Set<string>()
  let nextId = 1
  const failures: {
    accept?: unknown
    start?: unknown
    answer?: unknown
    stage?: unknown
    directory?: unknown
  } = {}

  const services: Omit<
    HttpServices,
    | 'credentials'
    | 'tokens'
    | 'idempotency'
    | 'webhooks'
    | 'deliveries'
    | 'replays'
    | 'feed'
    | 'conversations'
    | 'erasure'
    | 'groups'
  > = {
    actions: fakeActions(db, asked),
    forwarding: {
      forward: async (message, to, record) => {
        asked.push({ ...message, ...to })
        const entry = { id: 'msg_2', to: to.contact ?? '', chat_id: null, status: 'queued' as const }
        if (record) await db.write(tx => record(tx, entry))
        return entry
      },
    },
    devices: {
      list: async () => [DEVICE],
      linked: async () => [DEVICE],
      find: async (_identityId, deviceId) => (deviceId.replace('+', '') === DEVICE.device_id ? DEVICE : null),
      show: async (_identityId, deviceId, platform) => {
        asked.push({ deviceId, platform })
        if (deviceId !== DEVICE.device_id)
          throw new GatewayError('not_found', `There is no device ${deviceId}`)
        return DEVICE
      },
      rename: async (_identityId, deviceId, change, record) => {
        if (deviceId !== DEVICE.device_id)
          throw new GatewayError('not_found', `There is no device ${deviceId}`)
        asked.push({ deviceId, ...change })
        const renamed = { ...DEVICE, name: change.name ?? DEVICE.name }
        if (record) await db.write(tx => record(tx, renamed))
        return renamed
      },
      removeOne: async (_identityId, deviceId, platform) => {
        asked.push({ deviceId, platform })
        if (deviceId !== DEVICE.device_id)
          throw new GatewayError('not_found', `There is no device ${deviceId}`)
      },
      remove: async (_identityId, deviceId, platform) => {
        if (deviceId !== DEVICE.device_id || platform !== DEVICE.platform) {
          throw new GatewayError('not_found', `There is no device ${deviceId}`)
        }
      },
    },
    linking: {
      start: async (identity, request) => {
        if (failures.start) throw failures.start
        if (request.platform !== 'wa')
          throw new GatewayError('bad_request', `platform: expected one of wa, not ${request.platform}`)
        link.started.push({ identityId: identity.id, ...request })
        link.underWay = true
        link.latest = { type: 'qr', payload: 'qr-1', image_url: null, instructions: '' }
        return link.viewFor(identity.id, link.id)
      },
      get: (identityId, id) => link.viewFor(identityId, id),
      answer: async (identityId, id, inputs) => {
        link.viewFor(identityId, id)
        if (failures.answer) throw failures.answer
        link.answers.push({ ...inputs })
        await link.bridge
        link.emit({ type: 'code', code: 'ABCD-1234', image_url: null, instructions: '' })
        return link.viewFor(identityId, id)
      },
      cancel: (identityId, id) => {
        link.viewFor(identityId, id)
        link.emit({ type: 'error', code: 'cancelled', message: 'the link was cancelled' })
      },
      follow: (_identityId, _platform, listener) => {
        if (!link.underWay) throw new GatewayError('not_found', 'No link is under way: POST /api/v1/devices')
        link.listeners.add(listener)
        return { linkId: link.id, latest: link.latest, unsubscribe: () => link.listeners.delete(listener) }
      },
      followOne: (identityId, id, listener) => {
        link.viewFor(identityId, id)
        link.listeners.add(listener)
        return () => link.listeners.delete(listener)
      },
      stop: () => undefined,
    },
    platforms: { list: async () => [PLATFORM] },
    directory: {
      contacts: async (_identityId, deviceId, options) => {
        if (failures.directory) throw failures.directory
        asked.push({ deviceId, ...options })
        return { data: [ANN], next: null }
      },
      groups: async (_identityId, deviceId, platform) => {
        if (failures.directory) throw failures.directory
        asked.push({ deviceId, platform })
        return [{ id: '1@g.us', chat_id: 'chat_1', name: 'Friends', kind: 'group', room: '!g:localhost' }]
      },
      check: async (_identityId, deviceId, platform, identifier) => {
        if (failures.directory) throw failures.directory
        asked.push({ deviceId, platform, identifier })
        return { exists: true, ...ANN }
      },
      checkAll: async (_identityId, deviceId, platform, numbers) => {
        if (failures.directory) throw failures.directory
        asked.push({ deviceId, platform, numbers })
        return { data: numbers.map(number => ({ number, exists: true, ...ANN })) }
      },
    },
    messages: {
      accept: async request => {
        // The contract says that a file not accepted is discarded.
        if (failures.accept) {
          for (const { id } of request.files ?? []) onDisk.delete(id)
          throw failures.accept
        }
        if (request.deviceId !== DEVICE.device_id) {
          for (const { id } of request.files ?? []) onDisk.delete(id)
          throw new GatewayError('not_found', `There is no device ${request.deviceId}`)
        }
        sends.push(request)
        for (const { id } of request.files ?? []) onDisk.delete(id)
        const to = String(request.chatId ?? request.groupUrl ?? request.contact)
        const accepted = [{ id: `msg_${sends.length}`, to, chat_id: null, status: 'queued' as const }]
        const { record } = request
        if (record) await db.write(tx => record(tx, accepted))
        return accepted
      },
      get: async (_identityId, id) => {
        throw new GatewayError('not_found', `There is no message ${id}`)
      },
      cancel: async (_identityId, id) => {
        throw new GatewayError('not_found', `There is no message ${id}`)
      },
      list: async (_identityId, limit, before) => {
        listed.push({ limit, before })
        return []
      },
    },
    avatars: { open: async () => Promise.reject(new GatewayError('not_found', 'no picture')) },
    media: {
      async stage({ identityId, fileName, mimeType, stream }) {
        const id = `media_${nextId++}`
        onDisk.add(id)
        const hash = createHash('sha256')
        let size = 0
        try {
          for await (const chunk of stream) {
            size += chunk.length
            hash.update(chunk)
            if (failures.stage) throw failures.stage
            if (size > maxBytes)
              throw new GatewayError('payload_too_large', `The file is larger than ${maxBytes} bytes`)
          }
        } catch (error) {
          onDisk.delete(id)
          throw error
        }
        uploads.push({ fileName, mimeType, size, sha256: hash.digest('hex') })
        return stagedFile({ id, identityId, fileName, mimeType, sizeBytes: size })
      },
      async receive({ identityId, stream }) {
        const { id, sizeBytes } = await this.stage({ identityId, fileName: '', mimeType: '', stream })
        uploads.pop()
        return { id, identityId, sizeBytes }
      },
      describe: async ({ id, identityId, sizeBytes }, { fileName, mimeType }) => {
        uploads.push({ fileName, mimeType, size: sizeBytes, sha256: '' })
        return stagedFile({ id, identityId, fileName, mimeType, sizeBytes })
      },
      discard: async file => {
        onDisk.delete(file.id)
      },
    },
  }
  return { services, link, sends, asked, listed, uploads, onDisk, failures }
}

/** There is one message, `msg_1`. */
function fakeActions(db: Pick<Db, 'write'>, asked: Record<string, unknown>[]): HttpServices['actions'] {
  const accept = async (message: MessageRef, act: object, record?: Recorder<ActionView>) => {
    if (message.messageId !== 'msg_1')
      throw new GatewayError('not_found', `there is no message ${message.messageId}`)
    asked.push({ ...message, ...act })
    if (record) await db.write(tx => record(tx, ACTION_EXAMPLE))
    return ACTION_EXAMPLE
  }
  return {
    react: (message, emoji, record) => accept(message, { type: 'react', emoji }, record),
    unreact: (message, record) => accept(message, { type: 'unreact' }, record),
    edit: (message, text, record) => accept(message, { type: 'edit', text }, record),
    vote: (message, options, record) => accept(message, { type: 'vote', options }, record),
    read: ({ identityId, chatId, upTo }, record) =>
      accept({ identityId, messageId: chatId }, { type: 'read', upTo }, record),
    unsend: (message, record) => accept(message, { type: 'unsend' }, record),
    get: async (_identityId, id) => {
      if (id === ACTION_EXAMPLE.id) return ACTION_EXAMPLE
      throw new GatewayError('not_found', `there is no action ${id}`)
    },
  }
}
