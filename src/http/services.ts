/** Services that HTTP routes call. Most are the modules' own contracts; the rest is stated here. */
import type { Actions } from '../modules/actions/actions.ts'
import type { Forwarding } from '../modules/actions/forwarding.ts'
import type { Directory } from '../modules/chats/directory.ts'
import type { Conversations } from '../modules/conversations/conversations.ts'
import type { Erasure } from '../modules/conversations/erasure.ts'
import type { Devices } from '../modules/devices/devices.ts'
import type { Linking } from '../modules/devices/linking.ts'
import type { Platforms } from '../modules/devices/platforms.ts'
import type { Feed } from '../modules/events/feed.ts'
import type { GroupsModule } from '../modules/groups/index.ts'
import type { IdempotencyKeys } from '../modules/idempotency/types.ts'
import type { Avatars } from '../modules/media/avatars.ts'
import type { MediaFiles } from '../modules/media/media.ts'
import type { Messages } from '../modules/sending/sending.ts'
import type { Credentials } from '../modules/tenants/credentials.ts'
import type { Tokens } from '../modules/tenants/tokens.ts'
import type { DeliveryLog, Replays } from '../modules/webhooks/delivery-log.ts'
import type { Webhooks } from '../modules/webhooks/webhooks.ts'

export interface HttpServices {
  credentials: Credentials
  tokens: Tokens
  devices: Devices & DeviceLookup
  linking: Linking
  platforms: Platforms
  directory: Directory
  conversations: Conversations
  erasure: Erasure
  groups: GroupsModule
  messages: Messages
  actions: Actions
  forwarding: Forwarding
  media: Pick<MediaFiles, 'stage' | 'receive' | 'describe' | 'discard'>
  /** Without it, signed media addresses answer 404. */
  downloads?: MediaDownloads
  avatars: Pick<Avatars, 'open'>
  webhooks: Webhooks
  deliveries: DeliveryLog
  replays: Replays
  feed: Feed
  idempotency: IdempotencyKeys
}

/** Lets an upload be refused before its body is read. */
interface DeviceLookup {
  /**
   * @param deviceId phone digits, +E.164 or login id
   * @param platform null: any
   * @returns null when there is none
   */
  find(identityId: string, deviceId: string, platform: string | null): Promise<object | null>
  /** Devices of the identity that are linked. */
  linked(identityId: string): Promise<readonly unknown[]>
}

/** A file to be served from the disk. */
interface DownloadableFile {
  path: string
  fileName: string
  mimeType: string
}

/** Files behind the signed addresses that webhooks carry. */
export interface MediaDownloads {
  /**
   * @param expires seconds since the Unix epoch, as in the address
   * @throws GatewayError forbidden (wrong signature, expired), not_found, homeserver_unavailable
   */
  open(mediaId: string, expires: number, signature: string): Promise<DownloadableFile>
}

/** Tells if the gateway can do its work, for /ready. */
export interface Readiness {
  ready: boolean
  /** Not ready since a stop was asked for, and never again in this process. */
  stopping?: boolean
  /** State of each part, by name. */
  checks: Record<string, string>
}
