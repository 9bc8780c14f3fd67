/** Files by id in a folder. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileStore } from '../../../src/lib/file-store.ts'

describe('files', () => {
  let folder: string
  let files: FileStore
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'file-store-'))
    files = new FileStore(join(folder, 'media'), 8, () => new Error('too large'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const names = () => readdirSync(join(folder, 'media')).sort()
  const stream = (text: string) => new Blob([text]).stream()

  test('are stored by id and discarded', async () => {
    expect(await files.save('one', stream('12345'))).toBe(5)
    expect(await Bun.file(files.pathOf('one')).text()).toBe('12345')
    await files.discard('one')
    await files.discard('one')
    expect(names()).toEqual([])
  })

  test('that are too large leave nothing', async () => {
    await expect(files.save('one', stream('123456789'))).rejects.toThrow('too large')
    expect(await files.save('two', stream('2'))).toBe(1)
    expect(names()).toEqual(['two'])
  })

  test('of this process are shared, not copied', async () => {
    const source = join(folder, 'source')
    writeFileSync(source, '12345')
    expect(await files.adopt('one', source)).toBe(5)
    expect(statSync(files.pathOf('one')).ino).toBe(statSync(source).ino)
    expect(await files.adopt('two', join(folder, 'missing'))).toBeNull()
    writeFileSync(source, '123456789')
    await expect(files.adopt('three', source)).rejects.toThrow('too large')
    expect(names()).toEqual(['one'])
  })

  test('that a kill cut off, or nobody knows, are swept away', async () => {
    await files.sweep(() => true)
    await files.save('known', stream('1'))
    await files.save('unknown', stream('2'))
    writeFileSync(`${files.pathOf('known')}.abc.tmp`, '3')
    await files.sweep(id => id.startsWith('known'))
    expect(names()).toEqual(['known'])
  })
})
