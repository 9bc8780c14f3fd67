/** /api/v1/platforms: the networks that a device can be linked on. */
import { t } from 'elysia'
import { Platform } from '../../../domain/views/platform.ts'
import { answer, bearerRoute } from '../../route.ts'
import type { HttpServices } from '../../services.ts'

export function platformRoutes({ platforms }: Pick<HttpServices, 'platforms'>) {
  return [
    bearerRoute('GET', '/api/v1/platforms', {
      id: 'listPlatforms',
      tag: 'Platforms',
      summary: 'List platforms',
      description:
        "Each platform with what its network can do. One whose bridge doesn't answer is unavailable.",
      answer: answer(200, 'By name', t.Array(Platform)),
      run: ({ holder }) => platforms.list(holder.identity.matrixUserId),
    }),
  ]
}
