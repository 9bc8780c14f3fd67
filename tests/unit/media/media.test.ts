/** Files on disk are complete or absent, described where cheap, and served by signed URLs. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync, statSync } from 'node:fs'
import { PNG } from 'pngjs'
import { credentials, media as rows, tokens } from '../../../src/db/schema/index.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import type { MatrixSession } from '../../../src/domain/ports.ts'
import { createMedia, type MediaFiles } from '../../../src/modules/media/media.ts'
import { createMediaRepository } from '../../../src/modules/media/repository.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { insertIdentity, insertToken } from '../../support/rows.ts'
import { type TempDb, tempDb } from '../../support/temp-db.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { waitFor } from '../../support/wait-for.ts'

let db: TempDb
let folder: TempDir
let clock: ManualClock
let uploads: string[]
let downloads: number
/** Null once the homeserver has deleted it. */
let incoming: string | Uint8Array<ArrayBuffer> | null
let media: MediaFiles

beforeEach(() => {
  db = tempDb()
  folder = tempDir()
  clock = new ManualClock()
  uploads = []
  downloads = 0
  incoming = 'incoming bytes'
  const session: Partial<MatrixSession> = {
    upload: async (path, fileName, mimeType) => {
      uploads.push(`${fileName} ${mimeType} ${await Bun.file(path).text()}`)
      return 'mxc://s/up'
    },
    download: async () => {
      downloads++
      if (incoming === null) throw new GatewayError('not_found', 'the homeserver refused (Unknown media)')
      return new Response(incoming)
    },
  }
  media = createMedia({
    repository: createMediaRepository(db),
    dir: folder.path,
    maxBytes: 100_000,
    quotaBytes: 150_000,
    copyOf: uri => (uri === 'mxc://s/shared' ? folder.file('homeserver-copy') : null),
    urlTtlS: 60,
    sign: text => `signed-${text}`,
    sessionOf: async () => session as MatrixSession,
    clock,
  })
})
afterEach(async () => {
  await db.destroy()
  folder[Symbol.dispose]()
})

async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? new TextEncoder().encode(part) : part
}
const stage = (fileName: string, mimeType: string, stream: AsyncIterable<Uint8Array>) =>
  media.stage({ identityId: 'id_1', fileName, mimeType, stream })
const files = () =>
  readdirSync(folder.path, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => entry.name)
function insert(file: Awaited<ReturnType<typeof stage>>, change: Partial<typeof file> = {}) {
  db.orm
    .insert(rows)
    .values({ ...file, createdAt: 1, updatedAt: 1, ...change })
    .run()
}

describe('staging', () => {
  test('writes the stream as it is', async () => {
    const file = await stage('a.txt', 'text/plain', chunks('one', '', 'two'))
    expect(file).toMatchObject({
      fileName: 'a.txt',
      mimeType: 'text/plain',
      sizeBytes: 6,
      width: 0,
      blurHash: '',
    })
    expect(await Bun.file(media.pathOf(file.id)).text()).toBe('onetwo')
    expect(files()).toEqual([file.id])
  })

  test.each([
    ['photo.jpeg', '', 'image/jpeg'],
    ['a.pdf', 'application/octet-stream', 'application/pdf'],
    ['a.jpeg', 'image/png; charset=x', 'image/png'],
    ['a.pdf', 'image/png', 'application/pdf'],
    ['a.unknown', '', 'application/octet-stream'],
  ])('the type of %s declared as "%s" is %s', async (name, declared, expected) => {
    expect((await stage(name, declared, chunks(new Uint8Array([0, 1, 2])))).mimeType).toBe(expected)
  })

  test('an image has its pixels and its BlurHash; a false one is a file like any other', async () => {
    const png = PNG.sync.write(new PNG({ width: 20, height: 10 }))
    expect(await stage('a.png', 'image/png', chunks(png))).toMatchObject({
      width: 20,
      height: 10,
      blurHash: expect.stringMatching(/^.{10,}$/),
    })
    expect(await stage('b.png', 'image/png', chunks('not an image'))).toMatchObject({
      width: 0,
      height: 0,
      blurHash: '',
    })
  })

  test('too large a file, a broken stream and a discarded file leave nothing behind', async () => {
    await expect(
      stage('a.bin', '', chunks(new Uint8Array(60_000), new Uint8Array(60_000))),
    ).rejects.toMatchObject({
      code: 'payload_too_large',
    })
    async function* broken() {
      yield new Uint8Array(10)
      throw new Error('the client went away')
    }
    await expect(stage('a.bin', '', broken())).rejects.toThrow('the client went away')
    // A null type stands for any fault after the writing.
    await expect(stage('a.txt', null as never, chunks('x'))).rejects.toThrow(TypeError)
    await media.discard(await stage('a.txt', '', chunks('x')))
    expect(files()).toEqual([])
  })
})

test('a file is uploaded once, however many messages carry it, and however many ask at a time', async () => {
  const file = await stage('a.txt', 'text/plain', chunks('x'))
  insert(file)
  const answers = await Promise.all([media.upload(file.id), media.upload(file.id)])
  answers.push(await media.upload(file.id))
  expect(answers.map(answer => answer.mxcUri)).toEqual(['mxc://s/up', 'mxc://s/up', 'mxc://s/up'])
  expect(uploads).toEqual(['a.txt text/plain x'])
})

test('an incoming file is fetched once, and then served by an address that nobody can make up and that expires', async () => {
  const file = await stage('in.txt', 'text/plain', chunks(''))
  await media.discard(file)
  insert(file, { stored: false, mxcUri: 'mxc://s/in', sizeBytes: 0 })
  insertIdentity(db)
  insertToken(db)
  expect(await media.fetchIncoming(file.id)).toMatchObject({ stored: true, sizeBytes: 14 })
  const address = new URL(media.signedPath(file.id), 'http://x')
  const expires = Number(address.searchParams.get('expires'))
  const signature = address.searchParams.get('signature') ?? ''
  const { path, fileName } = await media.open(file.id, expires, signature)
  expect([fileName, await Bun.file(path).text(), downloads]).toEqual(['in.txt', 'incoming bytes', 1])
  await expect(media.open(file.id, expires + 1, signature)).rejects.toMatchObject({ code: 'forbidden' })
  await expect(media.open('other', expires, signature)).rejects.toMatchObject({ code: 'forbidden' })
  await clock.advance(61_000)
  await expect(media.open(file.id, expires, signature)).rejects.toMatchObject({ code: 'forbidden' })
})

describe('an incoming file that is no longer on the disk', () => {
  const incomingFile = async (change: Parameters<typeof insert>[1] = {}) => {
    const file = await stage('in.txt', 'text/plain', chunks('x'))
    await media.discard(file)
    insertIdentity(db)
    insertToken(db)
    insert(file, { mxcUri: 'mxc://s/in', ...change })
    const { searchParams } = new URL(media.signedPath(file.id), 'http://x')
    return () => media.open(file.id, Number(searchParams.get('expires')), searchParams.get('signature') ?? '')
  }

  test.each([
    ['after its time', false],
    ['though its row says otherwise, as after a restore', true],
  ])('is fetched from the homeserver again, %s', async (_, stored) => {
    const open = await incomingFile({ stored })
    const opened = await Promise.all([open(), open()])
    for (const { path } of opened) expect(await Bun.file(path).text()).toBe('incoming bytes')
    expect(downloads).toBe(1)
  })

  test.each([false, true])(
    'and no longer at the homeserver either is not found, and says so',
    async stored => {
      const open = await incomingFile({ stored })
      incoming = null
      await expect(open()).rejects.toMatchObject({
        code: 'not_found',
        message: 'the file is no longer kept: the homeserver refused (Unknown media)',
      })
      expect(files()).toEqual([])
    },
  )

  test('and was never anywhere else is not found', async () => {
    const open = await incomingFile({ mxcUri: null })
    await expect(open()).rejects.toMatchObject({ code: 'not_found', message: 'the file is no longer kept' })
  })
})

describe('a signed address', () => {
  const addressOf = async () => {
    const file = await stage('in.txt', 'text/plain', chunks('x'))
    insert(file)
    const { searchParams } = new URL(media.signedPath(file.id), 'http://x')
    return () => media.open(file.id, Number(searchParams.get('expires')), searchParams.get('signature') ?? '')
  }
  const gone = { code: 'forbidden', message: expect.stringContaining('the token') }

  test('is good while there is a token of the identity, and no longer', async () => {
    const open = await addressOf()
    await expect(open()).rejects.toMatchObject(gone)
    insertIdentity(db)
    insertIdentity(db, 'id_2', '@mg2:s')
    insertToken(db, { identityId: 'id_2' })
    await expect(open()).rejects.toMatchObject(gone)
    insertToken(db)
    expect(await open()).toMatchObject({ fileName: 'in.txt' })
    db.orm.delete(tokens).run()
    await expect(open()).rejects.toMatchObject(gone)
  })

  test('dies when the token expires or its credential is switched off', async () => {
    const open = await addressOf()
    insertIdentity(db)
    insertToken(db, { expiresAt: clock.now() + 10_000 })
    expect(await open()).toMatchObject({ fileName: 'in.txt' })
    await clock.advance(10_000)
    await expect(open()).rejects.toMatchObject(gone)
    db.orm
      .insert(credentials)
      .values({
        ...{ clientId: 'app', secretHash: '', role: 'user', scopes: [], description: '', active: true },
        ...{ createdAt: 1, updatedAt: 1 },
      })
      .run()
    insertToken(db, { credentialId: 'app' })
    expect(await open()).toMatchObject({ fileName: 'in.txt' })
    db.orm.update(credentials).set({ active: false }).run()
    await expect(open()).rejects.toMatchObject(gone)
  })
})

test('an incoming file that is larger than any of ours may be is given up, and leaves nothing', async () => {
  const file = await stage('in.txt', 'text/plain', chunks(''))
  await media.discard(file)
  insert(file, { stored: false, mxcUri: 'mxc://s/in', sizeBytes: 0 })
  incoming = 'x'.repeat(100_001)
  await expect(media.fetchIncoming(file.id)).rejects.toMatchObject({ code: 'payload_too_large' })
  expect(await media.find(file.id)).toMatchObject({ stored: false })
  incoming = 'x'.repeat(100_000)
  expect(await media.fetchIncoming(file.id)).toMatchObject({ stored: true, sizeBytes: 100_000 })
})

test('an incoming image whose bridge left out its pixels and BlurHash gets them from the file', async () => {
  const file = await stage('in.png', 'image/png', chunks(''))
  await media.discard(file)
  insert(file, { mimeType: 'image/png', stored: false, mxcUri: 'mxc://s/in', sizeBytes: 0 })
  incoming = Uint8Array.from(PNG.sync.write(new PNG({ width: 20, height: 10 })))
  const found = { width: 20, height: 10, blurHash: expect.stringMatching(/^.{10,}$/) }
  expect(await media.fetchIncoming(file.id)).toMatchObject(found)
  expect(await media.find(file.id)).toMatchObject(found)
})

describe('the quota of an identity', () => {
  const stagedRow = async (size: number, change: Parameters<typeof insert>[1] = {}) => {
    const file = await stage('a.bin', '', chunks(new Uint8Array(size)))
    insert(file, { ...change })
    return file
  }

  test('refuses the file that does not fit, says how much there is, and keeps nothing of it', async () => {
    await stagedRow(100_000)
    const before = files()
    const refused = stage('b.bin', '', chunks(new Uint8Array(40_000), new Uint8Array(20_000)))
    await expect(refused).rejects.toMatchObject({
      code: 'quota_exceeded',
      details: { used: 100_000, limit: 150_000 },
    })
    expect(files()).toEqual(before)
    expect(await stage('b.bin', '', chunks(new Uint8Array(50_000)))).toMatchObject({ sizeBytes: 50_000 })
  })

  test('counts files that are still coming in, and no longer those that broke off', async () => {
    const gate = Promise.withResolvers<void>()
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(90_000)
      await gate.promise
      throw new Error('broken off')
    }
    const coming = stage('slow.bin', '', slow()).catch(() => 'broken off')
    await waitFor(() => files().some(name => name.includes('.part')))
    const beside = () => stage('b.bin', '', chunks(new Uint8Array(80_000)))
    await expect(beside()).rejects.toMatchObject({ code: 'quota_exceeded' })
    gate.resolve()
    expect(await coming).toBe('broken off')
    expect(await beside()).toMatchObject({ sizeBytes: 80_000 })
  })

  test('counts files that came in together, whenever their rows are stored', async () => {
    const gates = [1, 2, 3].map(() => Promise.withResolvers<void>())
    async function* after(gate: Promise<void>): AsyncGenerator<Uint8Array> {
      await gate
      yield new Uint8Array(70_000)
    }
    const coming = gates.map(({ promise }) => stage('a.bin', '', after(promise)))
    gates[0]?.resolve()
    const first = await coming[0]
    gates[1]?.resolve()
    expect(await coming[1]).toMatchObject({ sizeBytes: 70_000 })
    if (first) insert(first)
    gates[2]?.resolve()
    await expect(coming[2]).rejects.toMatchObject({ code: 'quota_exceeded' })
    await media.discardAll([(await coming[1])?.id ?? ''])
    expect(await stage('b.bin', '', chunks(new Uint8Array(80_000)))).toMatchObject({ sizeBytes: 80_000 })
  })

  test('counts at the end of a file what was stored since its beginning', async () => {
    async function* beside(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(90_000)
      insert({ ...(await stage('a.bin', '', chunks(''))), sizeBytes: 90_000 })
    }
    await expect(stage('b.bin', '', beside())).rejects.toMatchObject({ code: 'quota_exceeded' })
  })

  test('is for each, and counts neither what is gone nor what was never fetched', async () => {
    await stagedRow(0, { sizeBytes: 100_000, stored: false })
    await stagedRow(0, { sizeBytes: 100_000, identityId: 'id_2' })
    expect(await stage('b.bin', '', chunks(new Uint8Array(100_000)))).toMatchObject({ sizeBytes: 100_000 })
  })

  test('leaves out a file that comes in', async () => {
    const file = await stagedRow(0, { stored: false, mxcUri: 'mxc://s/in' })
    await stagedRow(100_000)
    incoming = 'x'.repeat(60_000)
    await expect(media.fetchIncoming(file.id)).rejects.toMatchObject({ code: 'quota_exceeded' })
    expect(await media.find(file.id)).toMatchObject({ stored: false })
  })
})

test('a file that this process keeps for the homeserver, too, is one on the disk', async () => {
  await Bun.write(folder.file('homeserver-copy'), 'incoming bytes')
  const { ino } = statSync(folder.file('homeserver-copy'))
  const file = await stage('in.txt', 'text/plain', chunks(''))
  insert(file, { stored: false, mxcUri: 'mxc://s/shared' })
  await media.fetchIncoming(file.id)
  expect(statSync(media.pathOf(file.id)).ino).toBe(ino)
  await media.discardAll([file.id])
  expect(await Bun.file(folder.file('homeserver-copy')).text()).toBe('incoming bytes')
})
