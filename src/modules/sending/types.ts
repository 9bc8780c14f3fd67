/** What the sending use cases offer to the HTTP routes. */

import type { AcceptedMessage, MessageView } from '../../domain/views/message.ts'
import type { Recorder } from '../idempotency/types.ts'
import type { StagedFile } from '../media/types.ts'

export interface SendRequest {
  identityId: string
  /** As in the path: phone digits, +E.164 or login id. */
  deviceId: string
  platform: string
  /** Comma-separated; ignored when groupUrl is given. */
  contact?: string | undefined
  /** Comma-separated: invite links, the network's group ids or Matrix room ids. */
  groupUrl?: string | undefined
  text?: string | undefined
  replyId?: string | undefined
  file?: StagedFile | undefined
  /** Seconds after which it fails if it hasn't been handed over; by default it waits as long as it takes. */
  expiresInS?: number | undefined
  /** Keeps the answer. */
  record?: Recorder<AcceptedMessage[]> | undefined
}

export interface Messages {
  /**
   * Takes a send: one message for each recipient. Resolves once they are on disk.
   * @throws GatewayError bad_request (`Missing required field…`, `Either text or file must be provided`), not_found (no such device),
   *   conflict (the device is logged out), too_many_requests (too many wait already); a staged file is then discarded
   */
  accept(request: SendRequest): Promise<AcceptedMessage[]>
  /** @throws GatewayError not_found */
  get(identityId: string, messageId: string): Promise<MessageView>
  /** Newest first. @param before a message id: only older ones. @throws GatewayError not_found when there is no such message */
  list(identityId: string, limit: number, before?: string): Promise<MessageView[]>
  /**
   * Takes back a message that is queued; a file that nothing else needs goes with it.
   * @returns the message as it is then
   * @throws GatewayError not_found, conflict (it is queued no more)
   */
  cancel(identityId: string, messageId: string): Promise<MessageView>
}
