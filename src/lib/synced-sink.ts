/**
 * Writes large files beside a process that commits, syncing a little at a time. Else the system
 * would write them in one go, and every commit meanwhile would wait.
 */
import { fdatasync, write } from 'node:fs'
import { Writable } from 'node:stream'

/** Bytes between syncs: a commit waits for the disk no longer than these take. */
export const SYNC_BYTES = 2 * 1024 * 1024

/** @param handle of an open file; it stays open */
export function syncedSink(handle: number): Writable {
  let unsynced = 0

  function writeAll(chunk: Uint8Array, done: (error?: Error | null) => void): void {
    // A nearly full disk writes a part and reports no error yet.
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
