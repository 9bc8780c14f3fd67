/** A file written in pieces is complete, or its writer gets an error. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { tempDir } from '../../support/temp-dir.ts'

const SINK = join(import.meta.dir, '../../../src/lib/synced-sink.ts')
const BYTES = 3 * 1024 * 1024
/** Writes once and prints the outcome. At a size limit the system first takes a part. */
const SCRIPT = `
  import { openSync } from 'node:fs'
  import { syncedSink } from '${SINK}'
  process.on('SIGXFSZ', () => undefined)
  const sink = syncedSink(openSync(process.argv.at(-1), 'w'))
  sink.on('error', ({ code }) => console.log(code)).on('finish', () => console.log('finished'))
  sink.end(new Uint8Array(${BYTES}).fill(7))`

function written(file: string, limit: string): string {
  const command = `ulimit -f ${limit}; exec "$0" -e "$1" "$2"`
  return Bun.spawnSync(['sh', '-c', command, process.execPath, SCRIPT, file]).stdout.toString().trim()
}

test('what the system takes a part of isn’t done', () => {
  using folder = tempDir()
  expect(written(folder.file('whole'), 'unlimited')).toBe('finished')
  expect(readFileSync(folder.file('whole'))).toEqual(Buffer.alloc(BYTES, 7))
  expect(written(folder.file('cut'), '2048')).toBe('EFBIG')
})
