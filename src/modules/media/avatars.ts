/**
 * Pictures of people and chats, by signed addresses as files of messages have them. They lie at the
 * homeserver alone: each is fetched when somebody looks at it.
 */
import { GatewayError } from '../../domain/errors.ts'
import type { MatrixSession } from '../../domain/ports.ts'
import { readPieces } from '../../lib/bounded-body.ts'
import type { Clock } from '../../lib/clock.ts'
import { equalInConstantTime } from '../../lib/sealing.ts'
import type { MediaRepository } from './repository.ts'

export interface AvatarsOptions {
  repository: Pick<MediaRepository, 'isIdentityServed'>
  /** Base URL by which clients reach us, without a trailing slash. */
  publicUrl(): string
  /** How long a signed address is good for, in seconds. */
  urlTtlS: number
  /** Keyed one-way function for signed addresses. */
  sign(text: string): string
  /** The same under the previous key: its addresses are good until they expire. */
  signBefore?: ((text: string) => string) | undefined
  sessionOf(identityId: string): Promise<Pick<MatrixSession, 'download'>>
  clock: Pick<Clock, 'now'>
}

export interface Picture {
  bytes: Uint8Array<ArrayBuffer>
  mimeType: string
}

/** Networks keep them far smaller. */
export const MAX_PICTURE_BYTES = 5 * 1024 * 1024

export type Avatars = ReturnType<typeof createAvatars>

export function createAvatars(options: AvatarsOptions) {
  const { repository, publicUrl, urlTtlS, sign, signBefore, sessionOf, clock } = options
  const signed = (id: string, expires: number) => `${id}:${expires}`

  function isSignature(signature: string, id: string, expires: number): boolean {
    return [sign, signBefore].some(
      by => by !== undefined && equalInConstantTime(signature, by(signed(id, expires))),
    )
  }

  return {
    /**
     * @param mxcUri null: there is no picture
     * @returns an address that serves the picture to anybody, until it expires
     */
    urlOf(identityId: string, mxcUri: string | null): string | null {
      if (mxcUri === null) return null
      const id = Buffer.from(JSON.stringify([identityId, mxcUri])).toString('base64url')
      const expires = Math.floor(clock.now() / 1_000) + urlTtlS
      return `${publicUrl()}/api/v1/avatars/${id}?expires=${expires}&signature=${sign(signed(id, expires))}`
    },

    /**
     * Fetches the picture behind a signed address.
     * @param expires seconds since the Unix epoch, as in the address
     * @throws GatewayError forbidden (wrong or expired signature, no token left), not_found,
     * homeserver_unavailable
     */
    async open(id: string, expires: number, signature: string): Promise<Picture> {
      if (!isSignature(signature, id, expires))
        throw new GatewayError('forbidden', 'signature: does not belong to this picture and time')
      if (expires * 1_000 < clock.now())
        throw new GatewayError('forbidden', 'expires: this address has expired')
      const [identityId, mxcUri] = JSON.parse(Buffer.from(id, 'base64url').toString()) as [string, string]
      if (!(await repository.isIdentityServed(identityId, clock.now())))
        throw new GatewayError(
          'forbidden',
          'signature: the token that this address was made for is no longer good',
        )
      const response = await (await sessionOf(identityId)).download(mxcUri)
      const bytes = response.body && (await readPieces(response.body, MAX_PICTURE_BYTES))
      if (!bytes)
        throw new GatewayError('not_found', 'the picture is empty, or larger than a picture of somebody')
      return { bytes: new Uint8Array(bytes), mimeType: response.headers.get('content-type') ?? '' }
    },
  }
}
