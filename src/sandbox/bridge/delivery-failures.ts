/** Decides whether a failed delivery is due to the message, its room, or neither. */
import { MatrixError } from '../../lib/matrix-error.ts'
import { refusalOf } from '../../lib/refusal.ts'
import { isMediaType, type Message } from '../network/types.ts'

/** Refusals after which a room is replaced; TRIES_IN_ALL give up the message. */
export const TRIES_IN_A_ROOM = 4
const TRIES_IN_ALL = 10

/** The message to deliver, or its file, no longer exists. */
export class Undeliverable extends Error {}

/** A deleted message needs no file; its deletion follows. */
export function hasLostFile({ type, media, deletedAt }: Message): boolean {
  return isMediaType(type) && media === undefined && deletedAt === null
}

/** @param refusals of this message by rooms */
export function isHopeless(error: unknown, refusals: number): boolean {
  if (error instanceof Undeliverable || refusals === TRIES_IN_ALL) return true
  return error instanceof MatrixError && refusalOf(error.status) === 'final'
}

export function isOfRoom(error: unknown): boolean {
  return hasStatus(error, 403) || hasStatus(error, 404)
}

export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof MatrixError && error.status === status
}
