/**
 * Digests the files of a send while they stream to the disk, so that a repeat of the send is
 * recognised without the files in memory.
 */
import { createHash, type Hash } from 'node:crypto'
import type { StagedFile } from '../../modules/media/media.ts'
import type { MultipartSink } from './upload.ts'

/** Tells which files an upload had. */
export interface FileDigest {
  sink: MultipartSink
  read(): { name: string; type: string; sha256: string }[]
}

/** Puts itself before a sink. */
export function digesting(sink: MultipartSink): FileDigest {
  const digests: { name: string; type: string; hash: Hash }[] = []
  async function* passing(stream: AsyncIterable<Uint8Array>, hash: Hash): AsyncIterable<Uint8Array> {
    for await (const chunk of stream) {
      hash.update(chunk)
      yield chunk
    }
  }
  return {
    sink: {
      receive(stream) {
        const hash = createHash('sha256')
        digests.push({ name: '', type: '', hash })
        return sink.receive(passing(stream, hash))
      },
      describe: sink.describe,
      stage(upload): Promise<StagedFile> {
        const hash = createHash('sha256')
        digests.push({ name: upload.fileName, type: upload.mimeType, hash })
        return sink.stage({ ...upload, stream: passing(upload.stream, hash) })
      },
      discard: sink.discard,
      receiving: sink.receiving,
    },
    read: () => digests.map(({ name, type, hash }) => ({ name, type, sha256: hash.digest('hex') })),
  }
}
