/** Context of the interface's handlers, and how they read their input. */
import { z } from 'zod'
import type { LinkCodes } from '../bridge/link-codes.ts'
import type { Faults } from '../network/faults.ts'
import type { MediaFiles } from '../network/media.ts'
import type { Network } from '../network/network.ts'
import { existsOnNetwork, parsePhone } from '../network/phone-number.ts'
import type { SandboxPlatform } from '../platforms.ts'
import { ApiError } from './errors.ts'

export interface ApiContext {
  network: Network
  files: MediaFiles
  faults: Faults
  codes: LinkCodes
  /** The simulated platforms. */
  platforms: readonly SandboxPlatform[]
}

/** A request with the parts of its path. */
export interface Asked {
  request: Request
  url: URL
  /** The path's variable parts, decoded. */
  params: Record<string, string>
}

export type Handler = (asked: Asked) => Promise<Response> | Response

const PHONE_RULE = 'expected a phone number of 5 to 15 digits'

/** A number as people type it, parsed to digits. */
export const phoneField = z.string(PHONE_RULE).transform((typed, check) => {
  const phone = parsePhone(typed)
  if (phone !== null) return phone
  check.addIssue({ code: 'custom', message: PHONE_RULE })
  return z.NEVER
})

/** @throws ApiError 404 when the number doesn't exist */
export function phoneInPath(typed: string | undefined): string {
  const phone = parsePhone(typed ?? '')
  if (phone === null || !existsOnNetwork(phone)) {
    throw new ApiError(
      'not_found',
      `there is no phone ${typed}: expected 5 to 15 digits that don't begin with 999`,
    )
  }
  return phone
}

/** @throws ApiError 404 */
export function mustExist(field: string, phone: string): string {
  if (existsOnNetwork(phone)) return phone
  throw new ApiError(
    'not_found',
    `${field}: ${phone} is not on the network (no number that begins with 999 is)`,
  )
}

export function platformField({ platforms }: ApiContext) {
  const names = [...platforms] as [SandboxPlatform, ...SandboxPlatform[]]
  return z.enum(names, `expected one of ${platforms.join(', ')}`)
}
