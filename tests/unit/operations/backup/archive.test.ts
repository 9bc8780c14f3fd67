/** Archives that are cut off, damaged or malicious, and restores that are interrupted. */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { extract, pack } from 'tar-stream'
import { openDbAlone } from '../../../../src/db/lock.ts'
import { openDb } from '../../../../src/db/open.ts'
import { bridges } from '../../../../src/db/schema/index.ts'
import type { StoredEvent } from '../../../../src/domain/events.ts'
import { systemClock } from '../../../../src/lib/clock.ts'
import { writeEvent } from '../../../../src/modules/events/event-repository.ts'
import { makeBackup } from '../../../../src/modules/operations/backup/backup.ts'
import { isBackedUpName, MANIFEST, signed } from '../../../../src/modules/operations/backup/manifest.ts'
import { restoreBackup } from '../../../../src/modules/operations/backup/restore.ts'
import { insertIdentity } from '../../../support/rows.ts'
import { createTempGatewayData } from '../../../support/temp-data-dir.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { testFeed } from '../../../support/test-feed.ts'

const ABOUT = { meshgate: '1.0.0', server_name: 'localhost' }
const KEY = 'the SECRET_KEY of the backup'
const REST = { about: ABOUT, secretKey: KEY, now: 0 }

const BRIDGE = {
  url: 'http://127.0.0.1:1',
  registrationId: 'x',
  senderLocalpart: 'x',
  botLocalpart: 'x',
  asTokenSealed: 'x',
  hsTokenSealed: 'x',
  namespaces: { users: [] },
  command: null,
  createdAt: 0,
  updatedAt: 0,
}

let folder: TempDir
let source: string
let target: string

beforeEach(async () => {
  folder = tempDir()
  source = folder.file('source')
  target = folder.file('target')
  await createTempGatewayData(source)
})
afterEach(() => folder[Symbol.dispose]())

async function backup(): Promise<Buffer> {
  const sink = new PassThrough()
  const chunks: Buffer[] = []
  sink.on('data', (chunk: Buffer) => chunks.push(chunk))
  await makeBackup({ dataDir: source, sink, ...REST })
  return Buffer.concat(chunks)
}

const restore = (
  archive: Buffer,
  { dataDir = target, now = 1, unverified = false, secretKeys = [KEY] } = {},
) =>
  restoreBackup({
    source: Readable.from([archive]),
    dataDir,
    serverName: 'localhost',
    secretKeys,
    unverified,
    sendWaiting: false,
    now,
  })

/** An archive with any entries, as an attacker may have made it. */
async function archiveOf(
  entries: { name: string; type?: 'file' | 'symlink' | 'directory'; text?: string | Buffer }[],
) {
  const tar = pack()
  for (const { name, type = 'file', text = '' } of entries)
    tar.entry({ name, type, ...(type === 'symlink' ? { linkname: '/etc/passwd' } : {}) }, text)
  tar.finalize()
  return zstdCompressSync(Buffer.concat((await Array.fromAsync(tar)) as Buffer[]))
}

test('files, a program’s database that is being written to, and nothing of processes and logs', async () => {
  const folderOfWa = join(source, 'bridges', 'wa')
  mkdirSync(folderOfWa, { recursive: true })
  writeFileSync(join(folderOfWa, 'config.yaml'), 'bridge: yes')
  writeFileSync(join(folderOfWa, 'process.json'), '{}')
  writeFileSync(join(folderOfWa, 'bridge.log'), 'said')
  const program = new Database(join(folderOfWa, 'bridge.db'))
  program.run('PRAGMA journal_mode = WAL')
  program.run('CREATE TABLE contact (name text)')
  program.run("INSERT INTO contact VALUES ('Ada')")
  mkdirSync(join(source, 'media', 'ab'), { recursive: true })
  writeFileSync(join(source, 'media', 'ab', 'file_ab'), 'a picture')
  writeFileSync(join(source, 'media', 'ab', 'file_cd.part'), 'half a pict')
  const archive = await backup()
  program.close()
  await restore(archive)
  expect(readdirSync(target).sort()).toEqual(['bridges', 'media', 'meshgate.db', 'meshgate.lock'])
  expect(readdirSync(join(target, 'bridges', 'wa')).sort()).toEqual(['bridge.db', 'config.yaml'])
  expect(readdirSync(join(target, 'media', 'ab'))).toEqual(['file_ab'])
  expect(readFileSync(join(target, 'media', 'ab', 'file_ab'), 'utf8')).toBe('a picture')
  const copy = new Database(join(target, 'bridges', 'wa', 'bridge.db'))
  expect(copy.query('SELECT name FROM contact').all()).toEqual([{ name: 'Ada' }])
  expect(copy.query('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' })
  copy.close()
})

test('a bridge with its folder elsewhere is said to be missing', async () => {
  const db = openDb(join(source, 'meshgate.db'))
  db.orm
    .insert(bridges)
    .values([
      { ...BRIDGE, platform: 'wa', dir: join(source, 'bridges', 'wa') },
      { ...BRIDGE, platform: 'signal', dir: '/srv/signal', registrationId: 'y' },
    ])
    .run()
  await db.close()
  const report = await makeBackup({ dataDir: source, sink: new PassThrough().resume(), ...REST })
  expect(report.missing).toEqual(['/srv/signal (of the signal bridge, outside of DATA_DIR)'])
})

test('a link to somewhere else is not followed, and said to be missing', async () => {
  mkdirSync(join(source, 'bridges'))
  symlinkSync('/etc/passwd', join(source, 'bridges', 'passwd'))
  const report = await makeBackup({ dataDir: source, sink: new PassThrough().resume(), ...REST })
  expect(report.missing).toEqual(['bridges/passwd (a link)'])
})

describe('is refused, and leaves nothing behind:', () => {
  const refused = async (archive: Buffer, why: string) => {
    await expect(restore(archive)).rejects.toThrow(why)
    expect(readdirSync(target)).toEqual(['meshgate.lock'])
  }

  test('an archive that was cut off', async () => {
    const archive = await backup()
    for (const share of [0, 0.3, 0.9])
      await refused(archive.subarray(0, Math.floor(archive.length * share)), "the backup can't be used")
  })

  test('an archive with a bit the other way round', async () => {
    // Noise doesn't compress, so a changed bit there always matters.
    const noise = randomBytes(64 * 1024)
    mkdirSync(join(source, 'bridges', 'wa'), { recursive: true })
    writeFileSync(join(source, 'bridges', 'wa', 'noise'), noise)
    const archive = await backup()
    const at = archive.indexOf(noise.subarray(1_000, 1_100))
    archive[at] = (archive[at] ?? 0) ^ 0x10
    await refused(archive, "the backup can't be used")
  })

  test('something else', () =>
    refused(
      Buffer.from('not an archive'),
      "the backup can't be used: expected a file that `meshgate backup`",
    ))

  test.each([
    ['of a newer version', '{"format": 2}', 'a newer version of meshgate made it (format 2)'],
    ['that is nothing', 'null', 'manifest.json: Invalid input: expected object, received null'],
    ['without a time', '{"format": 1}', 'manifest.json created_at: Invalid input: expected string'],
    ['that is no JSON', '{"format"', 'manifest.json: JSON Parse error'],
  ])('a manifest %s', async (_, text, why) => {
    await refused(await archiveOf([{ name: MANIFEST, text }]), `the backup can't be used: ${why}`)
  })

  test.each([
    '../outside',
    'media/../../outside',
    '/etc/outside',
    'media//x',
    'media/./x',
    'media\\..\\x',
    'meshgate.lock',
    '.env',
    'media',
  ])('a file named %s', async name => {
    await refused(await archiveOf([{ name, text: 'x' }]), 'is no file of ours')
    expect(existsSync(folder.file('outside'))).toBe(false)
  })

  test('a link', async () => {
    await refused(await archiveOf([{ name: 'media/x', type: 'symlink' }]), 'is a symlink')
  })

  test('a file that the manifest does not know', async () => {
    const manifest = JSON.stringify({ format: 1, created_at: '', ...ABOUT, secret_key_check: '', files: [] })
    await refused(
      await archiveOf([
        { name: 'media/x', text: 'x' },
        { name: MANIFEST, text: manifest },
      ]),
      'its manifest does not know',
    )
  })

  test('a database that is damaged, though the archive is whole', async () => {
    const text = 'SQLite format 3\0 and then nothing of the kind'
    const sha256 = new Bun.CryptoHasher('sha256').update(text).digest('hex')
    const files = [{ name: 'meshgate.db', size: text.length, sha256 }]
    const manifest = JSON.stringify({ format: 1, created_at: '', ...ABOUT, secret_key_check: '', files })
    await refused(
      await archiveOf([
        { name: 'meshgate.db', text },
        { name: MANIFEST, text: signed(manifest, KEY) },
      ]),
      'meshgate.db: ',
    )
  })
})

describe('who made it', () => {
  /** The archive with another bridge command put into it, and its manifest corrected. */
  async function changed(
    archive: Buffer,
    edit: (manifest: string) => string = text => text,
  ): Promise<Buffer> {
    const tar = extract()
    const entries: { name: string; text: Buffer }[] = []
    const read = (async () => {
      for await (const entry of tar)
        entries.push({
          name: entry.header.name,
          text: Buffer.concat((await Array.fromAsync(entry)) as Buffer[]),
        })
    })()
    await Promise.all([pipeline(Readable.from([zstdDecompressSync(archive)]), tar), read])
    const [database, manifest] = [entries[0], entries.at(-1)]
    if (database?.name !== 'meshgate.db' || !manifest) throw new Error('another archive was expected')
    const file = folder.file('changed.db')
    writeFileSync(file, database.text)
    const db = openDb(file)
    db.orm
      .insert(bridges)
      .values({ ...BRIDGE, platform: 'wa', dir: '/x', command: ['/bin/evil'] })
      .run()
    db.connection.run('PRAGMA journal_mode = DELETE')
    await db.close()
    database.text = readFileSync(file)
    const json = JSON.parse(manifest.text.toString())
    Object.assign(json.files[0], {
      size: database.text.byteLength,
      sha256: new Bun.CryptoHasher('sha256').update(database.text).digest('hex'),
    })
    manifest.text = Buffer.from(edit(JSON.stringify(json)))
    return archiveOf(entries)
  }

  test.each<[string, (manifest: string) => string, string]>([
    ['with its old proof', text => text, 'the backup was changed after it was made'],
    ['without a proof', text => text.replace(/,"mac":.*/, '}'), 'nothing proves that this gateway made'],
    ['with the proof of another key', text => signed(text.replace(/,"mac":.*/, '}'), 'other'), 'was changed'],
    [
      'as if of another key',
      text => text.replace(/"secret_key_check":"\w+"/, '"secret_key_check":"x"'),
      'SECRET_KEY',
    ],
  ])('a changed one is refused %s', async (_, edit, why) => {
    const archive = await changed(await backup(), edit)
    await expect(restore(archive)).rejects.toThrow(why)
    expect(readdirSync(target)).toEqual(['meshgate.lock'])
  })

  test('a changed one is restored where that is asked for, and the report names what will be run', async () => {
    const { commands } = await restore(await changed(await backup()), { unverified: true })
    expect(commands).toEqual([{ platform: 'wa', command: ['/bin/evil'] }])
  })

  test('the key before the present one proves it, too, and another is said to be another', async () => {
    const archive = await backup()
    await expect(restore(archive, { secretKeys: ['new'] })).rejects.toThrow(
      'SECRET_KEY: is another than the backup was made with',
    )
    await restore(archive, { secretKeys: ['new', KEY] })
  })
})

test('a restore that was interrupted keeps a gateway from starting, and is done again', async () => {
  const archive = await backup()
  mkdirSync(join(target, '.restoring'), { recursive: true })
  mkdirSync(join(target, 'media'))
  writeFileSync(join(target, 'media', 'half'), 'x')
  expect(() => openDbAlone(join(target, 'meshgate.db'))).toThrow('a restore into')
  await restore(archive)
  expect(readdirSync(target).sort()).toEqual(['meshgate.db', 'meshgate.lock'])
  await openDbAlone(join(target, 'meshgate.db')).close()
})

describe('settings in DATA_DIR', () => {
  const SETTINGS = ['.env', 'registration.yaml']
  beforeEach(async () => {
    for (const dir of [source, target]) {
      mkdirSync(dir, { recursive: true })
      for (const name of SETTINGS) writeFileSync(join(dir, name), `of ${dir}`)
    }
  })
  const settings = () => SETTINGS.map(name => readFileSync(join(target, name), 'utf8'))

  test('are in no backup, and stay as they are beside one that is restored', async () => {
    await restore(await backup())
    expect(readdirSync(target).sort()).toEqual(['.env', 'meshgate.db', 'meshgate.lock', 'registration.yaml'])
    expect(settings()).toEqual([`of ${target}`, `of ${target}`])
  })

  test('outlive a restore that fails', async () => {
    await expect(restore(Buffer.from('not an archive'))).rejects.toThrow("the backup can't be used")
    expect(readdirSync(target).sort()).toEqual(['.env', 'meshgate.lock', 'registration.yaml'])
    expect(settings()).toEqual([`of ${target}`, `of ${target}`])
  })

  test.each(['meshgate.db', 'meshgate.db-wal', 'media', 'bridges'])(
    'don’t let %s be overwritten',
    async name => {
      writeFileSync(join(target, name), 'of another')
      await expect(restore(await backup())).rejects.toThrow(`has ${name}: expected a folder without data`)
      expect(readFileSync(join(target, name), 'utf8')).toBe('of another')
    },
  )
})

test('a reader of the feed that was further than the backup misses nothing that happens after a restore', async () => {
  /** Adds events to a folder's gateway. @returns the events after `after`, and the next cursor */
  async function goOn(dataDir: string, texts: string[], after?: string) {
    const db = openDb(join(dataDir, 'meshgate.db'))
    try {
      const of = { identityId: 'id_1', roomId: '', deviceRowId: '', senderUserId: '', mediaId: null }
      for (const text of texts) {
        const payload = { event: 'message.received', message: text } as unknown as StoredEvent
        await db.write(tx => writeEvent(tx, { ...of, eventId: text, lane: 'l', payload }, 0))
      }
      const reader = await testFeed({ db, clock: systemClock }).open('id_1', { after })
      const { events, next } = await reader.next(100, 0)
      reader.close()
      return {
        texts: events.map(({ payload }) => (JSON.parse(payload) as { message?: string }).message),
        next,
      }
    } finally {
      await db.close()
    }
  }
  const db = openDb(join(source, 'meshgate.db'))
  insertIdentity(db)
  await db.close()
  const { next } = await goOn(source, ['1', '2'])
  const archive = await backup()
  const then = await goOn(source, ['3', '4', '5'], next)
  expect(then.texts).toEqual(['3', '4', '5'])
  const [first, second] = [folder.file('first'), folder.file('second')]
  await restore(archive, { dataDir: first, now: Date.UTC(2026, 3, 27) })
  const once = await goOn(first, ['after', 'it'], then.next)
  expect(once.texts).toEqual(['after', 'it'])
  // Restores the same backup again, a second later.
  await restore(archive, { dataDir: second, now: Date.UTC(2026, 3, 27) + 1_000 })
  expect((await goOn(second, ['and again'], once.next)).texts).toEqual(['and again'])
})

test.each([
  'meshgate.db',
  'media/ab/file_1',
  'bridges/wa/config.yaml',
  'sandbox-media/x',
  'homeserver-media/x',
])('%s belongs into a backup', name => expect(isBackedUpName(name)).toBe(true))
