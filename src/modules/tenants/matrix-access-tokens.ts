/** Matrix access tokens of identities: sealed in the database, in clear only in memory. */
import type { AccessTokenStore } from '../../domain/ports.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Sealer } from '../../lib/sealing.ts'
import type { IdentityRepository } from './identity-repository.ts'

/** The context that an identity's sealed access token is bound to. */
export function accessTokenContext(identityId: string): string {
  return `identity:${identityId}`
}

export function createAccessTokenStore(options: {
  repository: Pick<IdentityRepository, 'findByUser' | 'setAccessToken'>
  sealer: Sealer
  clock: Clock
}): AccessTokenStore {
  const { repository, sealer, clock } = options

  /** A token sealed under an earlier SECRET_KEY is as good as none: another may be had. */
  function opened(sealed: string, context: string): string | null {
    try {
      return sealer.open(sealed, context)
    } catch {
      return null
    }
  }

  return {
    async find(userId) {
      const identity = await repository.findByUser(userId)
      if (!identity) return null
      const { id, matrixDeviceId: deviceId, accessTokenSealed: sealed } = identity
      return {
        userId,
        deviceId,
        accessToken: sealed === null ? null : opened(sealed, accessTokenContext(id)),
      }
    },

    async replace({ userId, deviceId, accessToken }) {
      const identity = await repository.findByUser(userId)
      if (!identity || accessToken === null) return
      const sealed = sealer.seal(accessToken, accessTokenContext(identity.id))
      await repository.setAccessToken(identity.id, sealed, deviceId, clock.now())
    },
  }
}
