/** Who is typing where, in memory only. A phone that doesn't say so again stops by itself. */
import type { Clock } from '../../lib/clock.ts'

const TYPING_MS = 15_000

export function createTyping(clock: Pick<Clock, 'now'>) {
  const untilOf = new Map<string, Map<string, number>>()
  return {
    set(chatId: string, phone: string, isTyping: boolean): void {
      const typists = untilOf.get(chatId) ?? new Map<string, number>()
      typists.delete(phone)
      if (isTyping) typists.set(phone, clock.now() + TYPING_MS)
      if (typists.size > 0) untilOf.set(chatId, typists)
      else untilOf.delete(chatId)
    },
    /** Phones that type in a chat now. */
    in(chatId: string): string[] {
      const now = clock.now()
      return [...(untilOf.get(chatId) ?? [])].flatMap(([phone, until]) => (until > now ? [phone] : []))
    },
  }
}
