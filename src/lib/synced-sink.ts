/**
 * Writes large files beside a process that commits, and forces them to disk a little at a time.
 * Left to the system, they would be written in one go sooner or later, and every commit meanwhile
 * would wait behind that.
 */
import { fdatasync, write } from 'node:fs'
import { Writable } from 'node:stream'

/** Who commits waits no longer for the disk than it takes this, in bytes. */
export const SYNC_BYTES = 2 * 1024 * 1024

/** @param handle of a file that is open for writing, and stays open */
export function syncedSink(handle: number): Writable {
  let unsynced = 0

  function writeAll(chunk: Uint8Array, done: (error?: Error | null) => void): void {
    // A disk that is nearly full takes a part, and says so with no error yet.
    write(handle, chunk, (error, written) => {
      if (error) return done(error)
      unsynced += written
      if (written < chunk.byteLength) return writeAll(chunk.subarray(written), done)
      if (unsynced < SYNC_BYTES) return done()
      unsynced = 0
      fdatasync(handle, done)
    })
  }

  return new Writable({ write: (chunk: Uint8Array, _encoding, done) => writeAll(chunk, done) })
}
