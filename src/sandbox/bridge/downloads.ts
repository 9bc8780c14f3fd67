/** Fetches files of the homeserver for the network. */
import type { Media } from '../network/types.ts'
import type { BridgeContext } from './context.ts'
import type { Incoming } from './from-matrix.ts'

type Wanted = NonNullable<Incoming['media']>

export type Downloads = ReturnType<typeof createDownloads>

export function createDownloads({ files, homeserver }: BridgeContext) {
  return {
    /** @returns the file's description once it is on disk; only a message or chat refers to it */
    async fetch({ mxc, name, mimeType, durationMs }: Wanted): Promise<Media> {
      const response = await homeserver.download(mxc)
      const declared = mimeType || (response.headers.get('content-type') ?? '')
      const source = {
        copy: homeserver.pathOfMedia(mxc),
        stream: () => response.body ?? new Blob([]).stream(),
      }
      const about = { name, mimeType: declared, isTypeKnown: mimeType !== '', durationMs }
      return { ...(await files.take(source, about)), mxc }
    },
  }
}
