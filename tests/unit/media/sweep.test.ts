/** Remains of a kill in DATA_DIR/media are removed; files of messages and of others stay. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { media } from '../../../src/db/schema/index.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createMediaRepository } from '../../../src/modules/media/repository.ts'
import { sweepMedia } from '../../../src/modules/media/sweep.ts'
import type { Worker } from '../../../src/runtime/worker.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { waitFor } from '../../support/wait-for.ts'

let db: TempDb
let folder: TempDir
beforeEach(() => {
  db = tempDb()
  folder = tempDir()
})
afterEach(async () => {
  await db.destroy()
  folder[Symbol.dispose]()
})

const prepare = () =>
  sweepMedia({ dir: folder.path, repository: createMediaRepository(db), logger: silentLogger })
const idOf = (number: number) => `file_${String(number).padStart(24, '0')}`

function write(name: string, below = name.replace('.part', '').slice(-2)): string {
  mkdirSync(folder.file(below), { recursive: true })
  writeFileSync(join(folder.path, below, name), 'bytes')
  return name
}

function insertRow(id: string): void {
  const sizes = { sizeBytes: 5, width: 0, height: 0, durationMs: 0 }
  const names = { identityId: 'id_1', fileName: 'a.bin', mimeType: 'text/plain', blurHash: '', mxcUri: null }
  db.orm
    .insert(media)
    .values({ id, ...names, ...sizes, stored: true, createdAt: 1, updatedAt: 1 })
    .run()
}

const files = () =>
  readdirSync(folder.path, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => entry.name)
    .toSorted()

/** Runs the worker until `isDone`, then stops it. */
async function runUntil(worker: Worker, isDone: () => boolean): Promise<void> {
  const controller = new AbortController()
  const running = worker.run(controller.signal)
  await waitFor(isDone, { what: 'the sweep' })
  controller.abort()
  await running
}

describe('before the first request', () => {
  test('cut off files go, and nothing else', async () => {
    write(`${idOf(1)}.part`)
    const whole = write(idOf(2))
    await prepare()
    expect(files()).toEqual([whole])
  })

  test('a folder that was never made is fine', async () => {
    folder[Symbol.dispose]()
    await prepare()
  })
})

describe('beside the requests', () => {
  test('whole files go that have no row, however many there are', async () => {
    const kept: string[] = []
    for (let number = 0; number < 1_200; number++) {
      write(idOf(number))
      if (number % 3 !== 0) continue
      insertRow(idOf(number))
      kept.push(idOf(number))
    }
    await runUntil(await prepare(), () => files().length <= kept.length)
    expect(files()).toEqual(kept)
  })

  test('a file whose row is still to come stays', async () => {
    write(idOf(1))
    const worker = await prepare()
    const staged = write(idOf(2))
    await runUntil(worker, () => files().length <= 1)
    expect(files()).toEqual([staged])
  })

  test('what is not a file of ours stays', async () => {
    write(idOf(1))
    const others = [write('notes.txt'), write('lost+found.txt', 'elsewhere'), write('file_x', 'deep')]
    await runUntil(await prepare(), () => files().length <= others.length)
    expect(files()).toEqual(others.toSorted())
  })
})
