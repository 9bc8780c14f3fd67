/** SQL of changes of chats: their acts and the gateway's own part, in one transaction. */
import { and, eq } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { type Chat, chats, type Device } from '../../db/schema/index.ts'
import type { Tx } from '../../db/transaction.ts'
import type { ChatUpdatedEvent } from '../../domain/events.ts'
import type { ActionView } from '../../domain/views/action.ts'
import { rfc3339 } from '../../lib/clock.ts'
import { ownEvent, writeEvent } from '../events/event-repository.ts'
import type { StagedFile } from '../media/media.ts'
import { storeFile } from '../media/repository.ts'
import { acceptAct, actionView, type NewAct } from '../sending/act-repository.ts'

export interface AcceptedSettings {
  chat: Chat
  device: Device
  rows: readonly NewAct[]
  /** One of the rows refers to it. */
  file: StagedFile | undefined
  own: { muted?: boolean | undefined; archived?: boolean | undefined }
  record?: ((tx: Tx, actions: ActionView[]) => Promise<void>) | undefined
}

export type SettingsRepository = ReturnType<typeof createSettingsRepository>

export function createSettingsRepository(db: Pick<Db, 'write'>) {
  return {
    accept: (
      { chat, device, rows, file, own, record }: AcceptedSettings,
      now: number,
    ): Promise<ActionView[]> =>
      db.write(async tx => {
        if (file) await storeFile(tx, file, now)
        const actions: ActionView[] = []
        for (const row of rows) actions.push(actionView(await acceptAct(tx, row, now)))
        await changeOwn(tx, chat, device, own, now)
        await record?.(tx, actions)
        return actions
      }),
  }
}

async function changeOwn(
  tx: Tx,
  chat: Chat,
  device: Device,
  { muted = chat.muted, archived = chat.archived }: AcceptedSettings['own'],
  now: number,
): Promise<void> {
  const { identityId, roomId, id, kind, name } = chat
  const changed = [
    ...(muted === chat.muted ? [] : (['muted'] as const)),
    ...(archived === chat.archived ? [] : (['archived'] as const)),
  ]
  if (changed.length === 0) return
  const one = and(eq(chats.identityId, identityId), eq(chats.roomId, roomId))
  await tx.run(orm => orm.update(chats).set({ muted, archived, updatedAt: now }).where(one))
  const payload: ChatUpdatedEvent = {
    event: 'chat.updated',
    timestamp: rfc3339(now),
    device_id: device.deviceId,
    platform: device.platform,
    chat_id: id,
    chat: { id: roomId, kind, name },
    changed,
  }
  await writeEvent(
    tx,
    { ...ownEvent({ identityId, lane: roomId, deviceRowId: device.id, payload }), roomId },
    now,
  )
}
