/** Context of the interface's handlers, and how they read their input. */

import pLimit from 'p-limit'
import { z } from 'zod'
import { yieldToEventLoop } from '../../lib/turn-budget.ts'
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

/** Runs one work in a turn of the event loop, however many lists are requested. */
export function oneWorkATurn(): <T>(work: () => T) => Promise<T> {
  const oneAtATime = pLimit(1)
  return work =>
    oneAtATime(async () => {
      await yieldToEventLoop()
      return work()
    })
}

export const nameField = z.string('expected a name').trim().min(1, 'expected a name').max(200)

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
  if (phone !== null && existsOnNetwork(phone)) return phone
  const expected = "expected 5 to 15 digits that don't begin with 999"
  throw new ApiError('not_found', `there is no phone ${typed}: ${expected}`)
}

/** @throws ApiError 404 */
export function mustExist(field: string, phone: string): string {
  if (existsOnNetwork(phone)) return phone
  const why = 'no number that begins with 999 is'
  throw new ApiError('not_found', `${field}: ${phone} is not on the network (${why})`)
}

export function platformField({ platforms }: ApiContext) {
  const names = [...platforms] as [SandboxPlatform, ...SandboxPlatform[]]
  return z.enum(names, `expected one of ${platforms.join(', ')}`)
}
