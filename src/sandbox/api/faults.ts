/** /sandbox/api/faults: sets deliberate failures. */
import { z } from 'zod'
import { FAIL_REASONS } from '../network/faults.ts'
import { platformFacts } from '../platforms.ts'
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
      .optional(),
    fail_reason: z.enum(FAIL_REASONS, `expected one of ${FAIL_REASONS.join(', ')}`).optional(),
    retriable: z.boolean('expected true or false').optional(),
    delay_ms: z
      .number('expected milliseconds')
      .min(0, 'expected 0 or more')
      .max(60_000, 'expected at most 60000')
      .optional(),
    offline: z.boolean('expected true or false').optional(),
    logout: phoneField.optional(),
  })

  function view() {
    return Object.fromEntries(
      platforms.map(platform => {
        const { failNext, failReason, retriable, delayMs, offline } = faults.of(platform)
        const shown = { fail_next: failNext, fail_reason: failReason, retriable, delay_ms: delayMs, offline }
        return [platform, shown]
      }),
    )
  }

  return {
    get: () => Response.json(view()),

    async set({ request }: Asked) {
      const given = check(faultSchema, await readJson(request))
      const affected = given.platform ? [given.platform] : platforms
      for (const platform of affected) {
        const { failNext, failReason, retriable, delayMs, offline } = faults.of(platform)
        faults.set(platform, {
          failNext: given.fail_next ?? failNext,
          failReason: given.fail_reason ?? failReason,
          retriable: given.retriable ?? retriable,
          delayMs: given.delay_ms ?? delayMs,
          offline: given.offline ?? offline,
        })
      }
      if (given.logout !== undefined) {
        const { logout: phone } = given
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
