/**
 * Fetches older messages of a chat, as far as its network has them. The bridge brings them as
 * history, and an event says how many came.
 */
import type { Db } from '../../db/open.ts'
import type { Chat, Device } from '../../db/schema/index.ts'
import type { ChatBackfilledEvent } from '../../domain/events.ts'
import type { Bridges } from '../../domain/ports.ts'
import type { Hears } from '../../domain/signals.ts'
import { type Clock, rfc3339, within } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import { ownEvent, writeEvent } from '../events/event-repository.ts'
import type { ChatAccess } from './chat-access.ts'

export interface BackfillOptions {
  db: Pick<Db, 'write'>
  access: Pick<ChatAccess, 'find'>
  bridges: Pick<Bridges, 'forPlatform'>
  matrixUserOf(identityId: string): Promise<string>
  signals: Hears<'history-stored'>
  clock: Clock
  logger: Logger
}

/** A bridge that can't do it says so at once; one that can asks the phone, which takes longer. */
const REFUSES_WITHIN_MS = 3_000
/** A bridge fetches a batch at a time, mostly of 50 messages or more. */
const MAX_BATCHES = 40
/** Nothing more is under way when nothing has come for this long. */
const QUIET_MS = 1_500
/** A phone that was asked may be away: it sends later, and nobody waits. */
const PHONE_PATIENCE_MS = 60_000

interface Progress {
  count: number
  /** When the last of them came, by the steady clock. */
  at: number
}

export function createBackfill(options: BackfillOptions) {
  const { db, access, bridges, matrixUserOf, signals, clock, logger } = options
  /** Under way, by identity and room. */
  const running = new Map<string, Progress>()
  const keyOf = ({ identityId, roomId }: Pick<Chat, 'identityId' | 'roomId'>) => `${identityId} ${roomId}`

  signals.on('history-stored', (identityId, roomId, count) => {
    const progress = running.get(keyOf({ identityId, roomId }))
    if (!progress) return
    progress.count += count
    progress.at = clock.steady()
  })

  /** @returns true when there may be more than was fetched */
  async function fetchBatches(
    chat: Chat,
    device: Device,
    limit: number,
    progress: Progress,
  ): Promise<boolean> {
    const userId = await matrixUserOf(chat.identityId)
    const bridge = bridges.forPlatform(device.platform)
    for (let batch = 0; batch < MAX_BATCHES; batch++) {
      const outcome = await bridge.fetchOlder(userId, device.loginId, chat.roomId)
      if (outcome === 'complete') return false
      await untilQuiet(progress, outcome === 'pending' ? PHONE_PATIENCE_MS : QUIET_MS)
      if (outcome === 'pending' || progress.count >= limit) return true
    }
    return true
  }

  /** The homeserver tells of the messages when the bridge has stored them. */
  async function untilQuiet(progress: Progress, patienceMs: number): Promise<void> {
    const before = progress.count
    const deadline = clock.steady() + patienceMs
    while (progress.count === before && clock.steady() < deadline)
      await clock.sleep(Math.min(QUIET_MS, patienceMs) / 5)
    while (progress.count > before && clock.steady() - progress.at < QUIET_MS) await clock.sleep(QUIET_MS / 5)
  }

  async function tell(chat: Chat, device: Device, count: number, more: boolean): Promise<void> {
    const { identityId, roomId, id, kind, name } = chat
    const payload: ChatBackfilledEvent = {
      event: 'chat.backfilled',
      timestamp: rfc3339(clock.now()),
      device_id: device.deviceId,
      platform: device.platform,
      chat_id: id,
      chat: { id: roomId, kind, name },
      count,
      more,
    }
    const event = { ...ownEvent({ identityId, lane: roomId, deviceRowId: device.id, payload }), roomId }
    await db.write(async tx => void (await writeEvent(tx, event, clock.now())))
  }

  /** @throws GatewayError as the bridge does */
  async function run(chat: Chat, device: Device, limit: number): Promise<void> {
    const key = keyOf(chat)
    const progress = { count: 0, at: clock.steady() }
    running.set(key, progress)
    try {
      const more = await fetchBatches(chat, device, limit, progress)
      await tell(chat, device, progress.count, more)
    } finally {
      running.delete(key)
    }
  }

  /**
   * Begins to fetch; one that is under way goes on. It ends with the event `chat.backfilled`.
   * @param limit of messages: it fetches batches until there are as many
   * @throws GatewayError not_found, conflict (no device), not_supported (the bridge or its
   * homeserver can't), and as bridges do
   */
  return async (identityId: string, reference: string, limit: number): Promise<void> => {
    const { chat, device } = await access.find(identityId, reference)
    if (running.has(keyOf(chat))) return
    let refusal: unknown
    const fetching = run(chat, device, limit).catch(error => {
      refusal = error
      logger.debug({ chat: chat.id, err: error }, 'older messages could not be fetched')
    })
    await within(clock, REFUSES_WITHIN_MS, fetching)
    if (refusal !== undefined) throw refusal
  }
}
