/** What the sending use cases offer to the HTTP routes. */
import type { ShownMessageStatus } from '../../domain/states.ts'
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

export interface AcceptedMessage {
  id: string
  /** The recipient as the caller wrote it. */
  to: string
  status: 'queued'
}

export interface MessageView {
  id: string
  platform: string
  device_id: string
  to: string
  status: ShownMessageStatus
  reason: string | null
  event_id: string | null
  /** When it will be tried, by an estimate; null unless it is queued. */
  due_at: string | null
  /** When it fails if it hasn't been handed over by then. */
  expires_at: string | null
  created_at: string
  updated_at: string
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
