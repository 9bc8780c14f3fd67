/** Whether a message has waited too long, and the reason that it then has. */
import type { Message } from '../../db/schema/index.ts'

export function isExpired({ expiresAt }: Pick<Message, 'expiresAt'>, now: number): boolean {
  return expiresAt !== null && expiresAt <= now
}

/** Why it failed, with what had kept it waiting. */
export function expiredReason({
  createdAt,
  expiresAt,
  reason,
}: Pick<Message, 'createdAt' | 'expiresAt' | 'reason'>): string {
  const seconds = Math.round(((expiresAt ?? createdAt) - createdAt) / 1000)
  return `expired: not handed over within ${seconds} seconds${reason === null ? '' : ` (${reason})`}`
}
