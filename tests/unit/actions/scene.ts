/** Actions and the outbox that does them, on a database: a test sees what came to Matrix. */
import { eq } from 'drizzle-orm'
import { events, media, messages, outboxLanes } from '../../../src/db/schema/index.ts'
import type { MatrixSession } from '../../../src/domain/ports.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { readRoomFeatures } from '../../../src/matrix/room-features.ts'
import { createActionsModule } from '../../../src/modules/actions/index.ts'
import { createChatActHandlers } from '../../../src/modules/groups/handlers.ts'
import { createBacklog, type Pace } from '../../../src/modules/sending/limits.ts'
import { createOutbox } from '../../../src/modules/sending/outbox.ts'
import { createStatusWriter } from '../../../src/modules/sending/statuses/status-repository.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { messageStore, messagesOn, noMedia } from '../../support/messages.ts'
import { insertChat, insertDevice, insertIdentity } from '../../support/rows.ts'
import { tempDb } from '../../support/temp-db.ts'
import { moduleOn } from '../../support/test-module.ts'

/** A call that came to Matrix. */
export interface Call {
  call: string
  room: string
  txnId: string
  content?: Record<string, unknown>
  /** The one that is redacted. */
  event?: string
}

/** Everything is taken for as long as one likes. */
const FEATURES = {
  ...{ id: 'all', poll: 2, edit: 2, delete: 2, reaction: 2, reaction_count: 1 },
  formatting: { user_link: 2 },
}

export function actionsScene() {
  const db = tempDb()
  const clock = new ManualClock()
  insertIdentity(db)
  const device = insertDevice(db)
  const chat = insertChat(db, { id: 'chat_1', roomId: '!r:s', peer: '@whatsapp_1:s' })
  const module = moduleOn(db, { clock })
  const store = messageStore(db)
  const calls: Call[] = []
  const state = {
    features: FEATURES as Record<string, unknown>,
    pace: { intervalMs: 0, jitter: 0, burst: 1 } as Pace,
    failWith: (_call: Call): Error | undefined => undefined,
  }
  function take(call: Call): string {
    const failure = state.failWith(call)
    if (failure) throw failure
    calls.push(call)
    return `$${call.txnId}`
  }
  const session: Partial<MatrixSession> = {
    send: async (room, type, content, txnId) => take({ call: type, room, txnId, content }),
    readUpTo: async (room, event) => {
      take({ call: 'read', room, txnId: '', event })
    },
    redact: async (room, event, txnId) => take({ call: 'redact', room, txnId, event }),
  }
  const features = () => readRoomFeatures(state.features)
  const parts = {
    ...module,
    chats: { ...module.chats, featuresOf: async () => features() },
    chatRooms: {
      ...module.chatRooms,
      ensureEntered: async (identityId: string, roomId: string) => {
        const found = await module.chats.find(identityId, roomId)
        return { ...(found ?? chat), takes: features() }
      },
    },
    devices: {
      get: async () => db.orm.query.devices.findFirst().sync() ?? null,
      find: async () => device,
      linked: async () => [device],
      reconcile: async () => undefined,
    },
    recipients: {
      ...store.recipients,
      known: async () => ({ id: 'chat_1', roomId: '!r:s', takes: features() }),
      resolve: async () => '!r:s',
      mentioned: async (_device: unknown, _userId: string, contacts: readonly string[] = []) =>
        new Map(contacts.map(contact => [`@${contact}`, `@whatsapp_${contact}:s`])),
      follow: async () => undefined,
      forget: async () => undefined,
    },
    paceOf: () => state.pace,
  }
  const limits = { perIdentity: 100, inAll: 100 }
  const backlog = createBacklog({ limits, waiting: new Map() })
  const sending = messagesOn(store, { ...parts, clock })
  const { actions, forwarding, acts } = createActionsModule({
    ...parts,
    db,
    waiting: store.waiting,
    endings: store.endings,
    messages: sending,
    media: {
      ...noMedia,
      get: async id => db.orm.select().from(media).where(eq(media.id, id)).get() ?? noMedia.get(id),
      discardAll: async () => undefined,
      fetchIncoming: noMedia.get,
      pathOf: () => '',
      stage: () => Promise.reject(new Error('no media here')),
    },
    statuses: createStatusWriter(undefined, backlog),
    backlog,
  })
  const options = {
    ...parts,
    queue: store.queue,
    messages: store.repository,
    acts: { ...acts, ...createChatActHandlers({ ...parts, media: noMedia }) },
    media: noMedia,
  }
  const outbox = () =>
    createOutbox({
      ...options,
      sessions: { actingAs: () => session as MatrixSession },
      logger: silentLogger,
    })
  const controller = new AbortController()
  let running: Promise<void> | undefined

  return {
    db,
    clock,
    device,
    chat,
    store,
    actions,
    forwarding,
    messages: sending,
    calls,
    state,
    start() {
      running = outbox().run(controller.signal)
    },
    async idle() {
      for (let turn = 0; turn < 20; turn++) {
        for (let step = 0; step < 10; step++) await settled()
        await clock.advance(2)
      }
    },
    /** The bridge's word on an event. */
    async reports(
      eventId: string,
      status: 'sent' | 'read' | 'failed' | 'queued',
      reason: string | null = null,
    ) {
      const word = { eventId, sender: '@whatsappbot:s', status, reason }
      await db.write(tx => createStatusWriter().report(tx, word, clock.now()))
    },
    async reads(eventId: string) {
      const receipt = { roomId: '!r:s', eventId, userId: '@whatsapp_1:s' }
      await db.write(tx => createStatusWriter().read(tx, receipt, clock.now()))
    },
    rows: () => db.orm.select().from(messages).all(),
    lanes: () => db.orm.select().from(outboxLanes).all(),
    events: () => db.orm.select().from(events).all(),
    async [Symbol.asyncDispose]() {
      controller.abort()
      await running
      await db.destroy()
    },
  }
}
