/** /api/v1/platforms: the networks that a device can be linked on. */
import { Elysia } from 'elysia'
import { operation } from '../../openapi/operation.ts'
import { bearerAuth } from '../../plugins/auth.ts'
import type { HttpServices } from '../../services.ts'
import { PlatformList } from './model.ts'

export function platformRoutes({ tokens, platforms }: Pick<HttpServices, 'tokens' | 'platforms'>) {
  return new Elysia({ name: 'platforms', prefix: '/api/v1/platforms' })
    .use(bearerAuth(tokens))
    .get('/', ({ holder }) => platforms.list(holder.identity.matrixUserId), {
      bearer: { body: 'none' },
      detail: operation({
        id: 'listPlatforms',
        summary: 'List platforms',
        description:
          "Each platform with what its network can do. One whose bridge doesn't answer is unavailable.",
        tag: 'Platforms',
        security: 'bearerAuth',
        answers: { 200: { description: 'By name', schema: PlatformList } },
        errors: [401, 403],
      }),
    })
}
