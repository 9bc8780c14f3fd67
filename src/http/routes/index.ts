/** Every route of the API. */
import type { Logger } from '../../lib/logger.ts'
import type { Route } from '../route.ts'
import type { HttpServices } from '../services.ts'
import { actionRoutes } from './actions/routes.ts'
import { chatRoutes } from './chats/routes.ts'
import { credentialRoutes } from './credentials/routes.ts'
import { contactRoutes } from './devices/contact-routes.ts'
import { linkRoutes } from './devices/link-routes.ts'
import { oneDeviceRoutes } from './devices/one-device-routes.ts'
import { type DeviceRoutesOptions, deviceRoutes } from './devices/routes.ts'
import { eventRoutes } from './events/routes.ts'
import { groupRoutes } from './groups/routes.ts'
import { type HealthRoutesOptions, healthRoutes } from './health/routes.ts'
import { mediaRoutes } from './media/routes.ts'
import { type MessageRoutesOptions, messageRoutes } from './messages/routes.ts'
import { platformRoutes } from './platforms/routes.ts'
import { tokenRoutes } from './tokens/routes.ts'
import { deliveryRoutes } from './webhooks/delivery-routes.ts'
import { webhookRoutes } from './webhooks/routes.ts'

export interface ApiRoutesOptions
  extends Pick<DeviceRoutesOptions, 'publicUrl' | 'tickets' | 'upgrade' | 'allowsOrigin' | 'clock'>,
    Pick<MessageRoutesOptions, 'uploading'>,
    HealthRoutesOptions {
  services: HttpServices
  logger: Logger
}

export function apiRoutes(options: ApiRoutesOptions): Route[] {
  const { services, clock, logger } = options
  return [
    ...healthRoutes(options),
    ...mediaRoutes(services.downloads, services.avatars),
    ...credentialRoutes(services),
    ...tokenRoutes(services),
    ...deviceRoutes(options),
    ...oneDeviceRoutes(services),
    ...linkRoutes(services),
    ...contactRoutes(services),
    ...chatRoutes(services),
    ...groupRoutes(options),
    ...platformRoutes(services),
    ...messageRoutes(options),
    ...actionRoutes(services),
    ...webhookRoutes(services),
    ...deliveryRoutes(services),
    ...eventRoutes({ ...services, clock, logger }),
  ]
}
