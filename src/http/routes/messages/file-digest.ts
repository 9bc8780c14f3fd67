/**
 * Digests the file of a send while it streams to the disk, so that a repeat of the send is
 * recognised without the file in memory.
 */
import { createHash } from 'node:crypto'
import type { IncomingFile, StagedFile } from '../../../modules/media/media.ts'
import type { MultipartSink } from './multipart.ts'

/** Tells which file an upload had, null when it had none. */
export interface FileDigest {
  sink: MultipartSink
  read(): { name: string; type: string; sha256: string } | null
}

/** Puts itself before a sink. */
export function digesting(sink: MultipartSink): FileDigest {
  const hash = createHash('sha256')
  let file: Pick<IncomingFile, 'fileName' | 'mimeType'> | null = null
  async function* passing(stream: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const chunk of stream) {
      hash.update(chunk)
      yield chunk
    }
  }
  return {
    sink: {
      stage(upload): Promise<StagedFile> {
        file = upload
        return sink.stage({ ...upload, stream: passing(upload.stream) })
      },
      discard: sink.discard,
      receiving: sink.receiving,
    },
    read: () => file && { name: file.fileName, type: file.mimeType, sha256: hash.digest('hex') },
  }
}
