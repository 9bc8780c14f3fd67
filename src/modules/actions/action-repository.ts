/** SQL of accepting acts and finding them. */
import type { Db } from '../../db/open.ts'
import type { Tx } from '../../db/transaction.ts'
import {
  type Act,
  acceptAct,
  actsOnMessages,
  findAct,
  type NewAct,
  noteAct,
  queuedActs,
} from '../sending/act-repository.ts'

export interface Accepting {
  before?: ((tx: Tx) => Promise<boolean>) | undefined
  record?: ((tx: Tx, act: Act) => Promise<void>) | undefined
}

export type ActRepository = ReturnType<typeof createActRepository>

export function createActRepository(db: Pick<Db, 'read' | 'write'>) {
  return {
    /**
     * @param how.before is called first: true when there is nothing to be done in Matrix
     * @param how.record is called with the act in the same transaction
     */
    accept: (act: NewAct, how: Accepting, now: number): Promise<{ act: Act; waits: boolean }> =>
      db.write(async tx => {
        const isDone = (await how.before?.(tx)) ?? false
        const accepted = await (isDone ? noteAct : acceptAct)(tx, act, now)
        await how.record?.(tx, accepted)
        return { act: accepted, waits: !isDone }
      }),

    /** @returns null when the identity has no such act */
    get: (identityId: string, id: string) => db.read(reader => findAct(reader, identityId, id)),

    queued: queuedActs,

    /** @returns all acts on the message that an act is for, or on one of this id, oldest first */
    on: ({ identityId, target }: { identityId: string; target: string | null }) =>
      db.read(async reader => (target === null ? [] : actsOnMessages(reader, identityId, [target]))),
  }
}
