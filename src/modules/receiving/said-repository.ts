/** SQL of what a batch says: the history, the events that tell of it, and its effect on chats. */
import { media } from '../../db/schema/index.ts'
import type { Tx } from '../../db/transaction.ts'
import { writeEvent } from '../events/event-repository.ts'
import { type Activity, noteActivity } from '../history/activity-repository.ts'
import { writeHistory } from '../history/history-repository.ts'
import { chatKey } from './plan.ts'
import type { PlannedMessage } from './plan-types.ts'

export async function writeSaid(tx: Tx, messages: readonly PlannedMessage[], now: number): Promise<void> {
  const activities = new Map<string, Activity>()
  for (const message of messages)
    if (await writeMessage(tx, message, now)) addActivity(activities, message, now)
  for (const activity of activities.values()) await noteActivity(tx, activity)
}

/** @returns true when the history has a new message by it */
async function writeMessage(tx: Tx, message: PlannedMessage, now: number): Promise<boolean> {
  const { history, isRemoval, media: file, payload, senderUserId } = message
  const { identityId, roomId, deviceRowId, direction } = history
  const stored = isRemoval ? { isNew: true, mediaId: null } : await writeHistory(tx, history, now)
  // Nobody is told what was sent from here, or was known before.
  const isTold = payload !== null && (direction === 'in' || stored.isNew)
  const event = { identityId, roomId, deviceRowId, senderUserId, lane: roomId, mediaId: stored.mediaId }
  const isNewEvent = isTold && (await writeEvent(tx, { ...event, eventId: payload.id, payload }, now))
  // The homeserver may tell it twice.
  if (file && file.id === stored.mediaId && (stored.isNew || isNewEvent))
    await writeMedia(tx, identityId, file, now)
  return stored.isNew && !isRemoval
}

function addActivity(
  activities: Map<string, Activity>,
  { history, payload }: PlannedMessage,
  now: number,
): void {
  const { identityId, roomId, direction, relatesTo, sentAt } = history
  // A reaction or a vote is no message.
  if (relatesTo !== null) return
  const key = chatKey(identityId, roomId)
  const before = activities.get(key)
  const isOwn = payload !== null && direction === 'out'
  const cameIn = payload !== null && direction === 'in' ? 1 : 0
  activities.set(key, {
    identityId,
    roomId,
    // A network's clock may be ahead of ours.
    at: Math.min(now, Math.max(before?.at ?? 0, sentAt)),
    cameIn: isOwn ? 0 : (before?.cameIn ?? 0) + cameIn,
    hasWritten: isOwn || (before?.hasWritten ?? false),
    isPast: payload === null && (before?.isPast ?? true),
  })
}

function writeMedia(
  tx: Tx,
  identityId: string,
  { id, mxcUri, info }: NonNullable<PlannedMessage['media']>,
  now: number,
): Promise<void> {
  return tx.run(orm =>
    orm.insert(media).values({
      id,
      identityId,
      mxcUri,
      fileName: info.file_name,
      mimeType: info.mime_type,
      sizeBytes: info.size,
      width: info.width,
      height: info.height,
      durationMs: info.duration,
      blurHash: info.blur_hash,
      stored: false,
      createdAt: now,
      updatedAt: now,
    }),
  )
}
