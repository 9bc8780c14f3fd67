/** Every route of the API. */
import { Elysia } from 'elysia'
import type { Logger } from '../../lib/logger.ts'
import type { HttpServices } from '../services.ts'
import { credentialRoutes } from './credentials/routes.ts'
import { contactRoutes } from './devices/contact-routes.ts'
import { linkRoutes } from './devices/link-routes.ts'
import { type DeviceRoutesOptions, deviceRoutes } from './devices/routes.ts'
import { eventRoutes } from './events/routes.ts'
import { type HealthRoutesOptions, healthRoutes } from './health/routes.ts'
import { mediaRoutes } from './media/routes.ts'
import { type MessageRoutesOptions, messageRoutes } from './messages/routes.ts'
import { platformRoutes } from './platforms/routes.ts'
import { tokenRoutes } from './tokens/routes.ts'
import { deliveryRoutes } from './webhooks/delivery-routes.ts'
import { webhookRoutes } from './webhooks/routes.ts'

export interface ApiRoutesOptions
  extends Pick<DeviceRoutesOptions, 'publicUrl' | 'upgrade' | 'allowsOrigin' | 'clock'>,
    Pick<MessageRoutesOptions, 'uploading'>,
    HealthRoutesOptions {
  services: HttpServices
  logger: Logger
}

export function apiRoutes(options: ApiRoutesOptions) {
  const { services } = options
  // Bearer routes come last: @elysiajs/bearer adds its hook to every route after it.
  return new Elysia({ name: 'api' })
    .use(healthRoutes(options))
    .use(mediaRoutes(services.downloads))
    .use(credentialRoutes(services))
    .use(tokenRoutes(services))
    .use(deviceRoutes(options))
    .use(linkRoutes(services))
    .use(contactRoutes(services))
    .use(platformRoutes(services))
    .use(messageRoutes(options))
    .use(webhookRoutes(services))
    .use(deliveryRoutes(services))
    .use(eventRoutes({ ...services, clock: options.clock, logger: options.logger }))
}
