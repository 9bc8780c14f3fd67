/** Reads a send, and tells if it repeats one that was answered, where it has an Idempotency-Key. */
import { claimOnce, hasKey, noteContent } from '../../plugins/idempotency.ts'
import { digesting } from '../../uploads/file-digest.ts'
import type { MultipartSink } from '../../uploads/upload.ts'
import { readSend, type SendBody } from './send-body.ts'

/** A repeat is answered even if its device is gone by now; accepting a first send finds out. */
const admitAny = async () => undefined

/**
 * @param admitUpload called before a form without a key is read: throws when the device isn't there
 * @returns with `replay`, the first answer, when it is a repeat: its files are then discarded
 * @throws GatewayError as `readSend` and `claimOnce` do; nothing of an upload is then left on the
 * disk
 */
export async function readSendOnce(
  request: Request,
  sink: MultipartSink,
  admitUpload: () => Promise<void>,
): Promise<SendBody & { replay?: Response | undefined }> {
  if (!hasKey(request)) return readSend(request, sink, admitUpload)
  const digest = digesting(sink)
  const body = await readSend(request, digest.sink, admitAny)
  const { files } = body
  const discardAll = async () => {
    for (const file of files) await sink.discard(file)
  }
  try {
    const [file = null, ...others] = digest.read()
    // As keys of versions that took one file know it.
    noteContent(request, { fields: body.fields, file, ...(others.length > 0 && { others }) })
    const replay = await claimOnce(request, true)
    if (replay) await discardAll()
    return { ...body, replay }
  } catch (error) {
    await discardAll()
    throw error
  }
}
