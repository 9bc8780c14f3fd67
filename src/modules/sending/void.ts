/** Whether a message never will be sent because its device was deleted while it waited, and the reason that it then has. */
import type { Device, Message } from '../../db/schema/index.ts'

export const VOID_REASON = 'the device was deleted'

/** @param device as it is now: it may have been linked again. Null: it is gone */
export function isVoid(
  { seq }: Pick<Message, 'seq'>,
  device: Pick<Device, 'removedAt' | 'voidThrough'> | null,
): boolean {
  return device === null || device.removedAt !== null || seq <= (device.voidThrough ?? 0)
}
