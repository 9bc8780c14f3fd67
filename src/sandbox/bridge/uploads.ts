/** Brings the network's files to the homeserver, each once. */
import { SingleFlight } from '../../lib/single-flight.ts'
import { isMediaType, type Media, type Message } from '../network/types.ts'
import type { BridgeContext } from './context.ts'

/** The message to deliver, or its file, no longer exists. */
export class Undeliverable extends Error {}

/** A deleted message needs no file; its deletion follows. */
export function hasLostFile({ type, media, deletedAt }: Message): boolean {
  return isMediaType(type) && media === undefined && deletedAt === null
}

export function createUploads({ committer, files, homeserver, network }: BridgeContext) {
  const uploading = new SingleFlight<string>()

  async function uploaded({ id, mimeType, name }: Media): Promise<string> {
    const file = files.open(id)
    if (!(await file.exists())) throw new Undeliverable('its file is gone')
    const mxc = await homeserver.upload(file, mimeType, name)
    await committer.write(() => network.store.setMxc(mxc, id))
    const copy = homeserver.pathOfMedia(mxc)
    if (copy !== null) await files.share(id, copy)
    return mxc
  }

  /** @returns the file's mxc:// URI. @throws Undeliverable */
  return async (media: Media): Promise<string> =>
    media.mxc ?? (await uploading.run(media.id, () => uploaded(media)))
}
