/** /sandbox/api/faults: sets deliberate failures. */
import { z } from 'zod'
import { FAIL_REASONS } from '../network/faults.ts'
import { platformFacts, type SandboxPlatform } from '../platforms.ts'
import { readJson } from './body.ts'
import { type ApiContext, type Asked, phoneField, platformField } from './context.ts'
import { ApiError, check } from './errors.ts'

export function createFaultHandlers(api: ApiContext) {
  const { faults, network, platforms } = api
  const faultSchema = z.strictObject({
    platform: platformField(api).optional(),
    fail_next: z
      .number('expected how many sends fail')
      .int('expected a whole number')
      .min(0, 'expected 0 or more')
      .exactOptional(),
    fail_reason: z.enum(FAIL_REASONS, `expected one of ${FAIL_REASONS.join(', ')}`).exactOptional(),
    retriable: z.boolean('expected true or false').exactOptional(),
    delay_ms: z
      .number('expected milliseconds')
      .min(0, 'expected 0 or more')
      .max(60_000, 'expected at most 60000')
      .exactOptional(),
    offline: z.boolean('expected true or false').exactOptional(),
    restricted_until: z.iso
      .datetime({ offset: true, error: 'expected a time (RFC 3339) or null' })
      .nullable()
      .exactOptional(),
    logout: phoneField.optional(),
  })

  function view() {
    return Object.fromEntries(
      platforms.map(platform => {
        const { since: _since, restricted_until, ...shown } = faults.of(platform)
        const isRestrictable = platformFacts(platform).restrictsFirstMessages
        return [platform, isRestrictable ? { ...shown, restricted_until } : shown]
      }),
    )
  }

  /** @throws ApiError 400 where no account is restricted */
  function mustRestrict(affected: readonly SandboxPlatform[]): void {
    const free = affected.find(platform => !platformFacts(platform).restrictsFirstMessages)
    if (free === undefined) return
    const able = platforms.filter(platform => platformFacts(platform).restrictsFirstMessages)
    throw new ApiError('bad_request', `restricted_until: ${free} restricts nobody; ${able.join(', ')} does`)
  }

  return {
    get: () => Response.json(view()),

    async set({ request }: Asked) {
      const { platform, logout: phone, ...changed } = check(faultSchema, await readJson(request))
      const affected = platform ? [platform] : platforms
      if (changed.restricted_until !== undefined) mustRestrict(affected)
      for (const one of affected) faults.set(one, changed)
      if (phone !== undefined) {
        const unlinked = await Promise.all(
          affected.map(platform =>
            network.unlink(platform, platformFacts(platform).accountId(phone), 'phone'),
          ),
        )
        if (!unlinked.includes(true)) throw new ApiError('not_found', `logout: ${phone} is not linked`)
      }
      network.notify({ kind: 'directory' })
      return Response.json(view())
    },

    clear() {
      faults.clear()
      network.notify({ kind: 'directory' })
      return Response.json(view())
    },
  }
}
