/**
 * Devices: linked accounts at the bridges. `devices` has their state and keeps it in step with what
 * bridges say, `linking` links them, `platforms` lists the networks there are.
 */
import type { Db } from '../../db/open.ts'
import { createDeviceProbe } from './device-probe.ts'
import { createDeviceRepository } from './device-repository.ts'
import { createDevices, type DevicesOptions } from './devices.ts'
import { tellLinks } from './link-told.ts'
import { createLinking, type LinkingOptions } from './linking.ts'
import { createPlatforms } from './platforms.ts'
import { rememberDevices } from './remembered-devices.ts'

export type DevicesParts = Omit<DevicesOptions, 'repository'> &
  Pick<LinkingOptions, 'untilCurrent'> & { db: Db }

export function createDevicesModule(parts: DevicesParts) {
  const repository = rememberDevices(createDeviceRepository(parts.db), parts.clock)
  const devices = createDevices({ ...parts, repository })
  return {
    devices,
    linking: createLinking({ ...parts, devices, changed: tellLinks(parts) }),
    platforms: createPlatforms(parts),
    workers: [createDeviceProbe({ ...parts, devices, repository })],
  }
}
