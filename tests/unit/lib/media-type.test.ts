/** A file's type comes from its content first, and has one spelling. */
import { expect, test } from 'bun:test'
import { HEAD_BYTES, mediaTypeOf, mediaTypeOfName, registeredType } from '../../../src/lib/media-type.ts'
import { FILES } from '../../support/file-heads.ts'
import { bytesOf } from '../../support/files.ts'

const text = (content: string) => new TextEncoder().encode(content)
const NOISE = bytesOf(3_000)

test.each<[keyof typeof FILES, string]>([
  ['jpeg', 'image/jpeg'],
  ['png', 'image/png'],
  ['webp', 'image/webp'],
  ['heic', 'image/heic'],
  ['tiff', 'image/tiff'],
  ['wav', 'audio/wav'],
  ['mp3', 'audio/mpeg'],
  ['m4a', 'audio/mp4'],
  ['flac', 'audio/flac'],
  ['opus', 'audio/ogg; codecs=opus'],
  ['mp4', 'video/mp4'],
  ['mkv', 'video/matroska'],
  ['webm', 'video/webm'],
  ['pdf', 'application/pdf'],
  ['svg', 'image/svg+xml'],
])('%s is known by its content, whatever its name and its sender say', async (kind, type) => {
  const own = `file.${kind}`
  // Clients declare these when they don't know the type.
  for (const declared of ['', 'text/plain', 'application/octet-stream', 'nonsense', 'image/nonsense'])
    expect(await mediaTypeOf(FILES[kind], own, declared)).toBe(type)
  if (kind !== 'svg') expect(await mediaTypeOf(FILES[kind], 'file.bin', 'image/x-unheard-of')).toBe(type)
  if (kind !== 'jpeg' && kind !== 'svg')
    expect(await mediaTypeOf(FILES[kind], 'photo.jpg', 'image/jpeg')).toBe(type)
})

test.each([
  ['a declaration that says something', 'a.bin', 'video/mp4', 'video/mp4'],
  ['an alias', 'a.bin', 'image/jpg', 'image/jpeg'],
  ['an alias with parameters, in capitals', 'a.bin', 'AUDIO/X-M4A; foo=bar', 'audio/mp4'],
  ['the name, where nothing is declared', 'song.MP3', '', 'audio/mpeg'],
  ['the name, before a declaration that says nothing', 'report.pdf', 'text/plain', 'application/pdf'],
  ['nothing', 'a.unknownkind', 'nonsense', 'application/octet-stream'],
])('content that nobody knows is called by %s', async (_what, name, declared, type) => {
  expect(await mediaTypeOf(NOISE, name, declared)).toBe(type)
})

test.each([
  // "BM" also begins a bitmap, "MZ" a program, "ID3" a song.
  ['BMW;320;41000\n', 'prices.csv', 'text/plain', 'text/csv'],
  ['MZ is short for Mainz\n', 'notes.txt', '', 'text/plain'],
  ['ID3 is a tag\n', 'notes.unknownkind', '', 'application/octet-stream'],
  ['export const one = 1\n', 'one.ts', '', 'text/javascript'],
  ['BEGIN:VCARD\nVERSION:3.0\n', 'jonas.vcf', 'text/x-vcard', 'text/vcard'],
  ['', 'empty.txt', 'text/plain', 'text/plain'],
])('a text is a text: %j in %s', async (content, name, declared, type) => {
  expect(await mediaTypeOf(text(content), name, declared)).toBe(type)
})

test('a text in windows-1252 is what its sender calls it, whatever format its first letters name', async () => {
  for (const content of ['BMW;M\xfcnchen;\x80 320\n', 'MZ;Mainz-K\xf6nigsborn\n', 'ID3;\xe4\n'])
    expect(await mediaTypeOf(Buffer.from(content, 'latin1'), 'kunden.csv', 'text/csv')).toBe('text/csv')
  const program = Buffer.from('MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff', 'latin1')
  expect(await mediaTypeOf(program, 'kunden.csv', 'text/csv')).not.toBe('text/csv')
})

test.each([
  ['<svg xmlns="http://www.w3.org/2000/svg"/>', 'logo.png', 'image/svg+xml'],
  ['<?xml version="1.0"?>\n<!-- a -->\n<svg/>', 'a.svg', 'image/svg+xml'],
  ['<!DOCTYPE html><p>404', 'logo.png', 'text/html'],
  ['not found', 'logo.png', 'text/plain'],
  ['a,b\n', 'prices.csv', 'text/csv'],
  ['', 'logo.png', 'application/octet-stream'],
])('a text or nothing is never an image: %j in %s, declared image/png', async (content, name, type) => {
  expect(await mediaTypeOf(text(content), name, 'image/png')).toBe(type)
})

test('a few bytes are a font only to whoever says so', async () => {
  const font = new Uint8Array([0, 1, 0, 0, 0, 12, 0, 128])
  expect(await mediaTypeOf(font, 'a.ttf', '')).toBe('font/ttf')
  expect(await mediaTypeOf(font, 'a.dat', 'application/x-font-ttf')).toBe('font/ttf')
  expect(await mediaTypeOf(font, 'a.unknownkind', '')).toBe('application/octet-stream')
})

test.each([
  ['table.csv', 'image/png', 'text/csv'],
  ['film.wmv', 'image/jpeg', 'video/x-ms-wmv'],
  ['photo.jpg', 'image/png', 'image/png'],
  ['data.bin', 'image/png', 'image/png'],
])('%s is no picture because its sender calls everything %s', async (name, declared, type) => {
  expect(await mediaTypeOf(NOISE, name, declared)).toBe(type)
  if (declared !== type) expect(await mediaTypeOf(text(''), name, declared)).toBe(type)
})

test.each([
  ['app.apk', 'image/png', 'application/vnd.android.package-archive'],
  ['app.apk', 'application/pdf', 'application/vnd.android.package-archive'],
  ['pass.pkpass', 'application/json', 'application/vnd.apple.pkpass'],
  ['photo.jpg', 'application/pdf', 'application/zip'],
])('an archive called %s is no %s, so its name says what is in it', async (name, declared, type) => {
  expect(await mediaTypeOf(FILES.zip, name, declared)).toBe(type)
})

test('an animated PNG is a PNG to whoever calls it that', async () => {
  const chunk = (type: string, length: number) => {
    const bytes = Buffer.alloc(12 + length)
    bytes.writeUInt32BE(length)
    bytes.write(type, 4)
    return bytes
  }
  const animation = Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    ...[chunk('IHDR', 13), chunk('acTL', 8), chunk('IDAT', 10), chunk('IEND', 0)],
  ])
  expect(await mediaTypeOf(animation, 'a.png', '')).toBe('image/png')
  expect(await mediaTypeOf(animation, 'a.bin', 'image/png')).toBe('image/png')
  expect(await mediaTypeOf(animation, 'a.bin', '')).toBe('image/apng')
})

test('what a container holds is said by the name or the declaration, as far as it can hold that', async () => {
  expect(await mediaTypeOf(FILES.zip, 'plan.docx', '')).toEndWith('wordprocessingml.document')
  expect(await mediaTypeOf(FILES.zip, 'photo.jpg', 'image/jpeg')).toBe('application/zip')
  expect(await mediaTypeOf(FILES.mp4, 'memo.m4a', 'audio/x-m4a')).toBe('audio/mp4')
  expect(await mediaTypeOf(FILES.webm, 'memo.webm', 'audio/webm;codecs=opus')).toBe('audio/webm')
})

test.each([
  ['image/jpg', 'image/jpeg'],
  ['image/pjpeg', 'image/jpeg'],
  ['image/x-png', 'image/png'],
  ['image/svg', 'image/svg+xml'],
  ['audio/mp3', 'audio/mpeg'],
  ['audio/x-mpeg', 'audio/mpeg'],
  ['audio/x-m4a', 'audio/mp4'],
  ['audio/m4a', 'audio/mp4'],
  ['audio/x-wav', 'audio/wav'],
  ['audio/vnd.wave', 'audio/wav'],
  ['audio/x-flac', 'audio/flac'],
  ['video/x-matroska', 'video/matroska'],
  ['video/mov', 'video/quicktime'],
  ['video/avi', 'video/x-msvideo'],
  ['application/x-pdf', 'application/pdf'],
  ['application/x-zip-compressed', 'application/zip'],
  ['Text/X-VCard', 'text/vcard'],
  ['image', null],
  ['foo/bar', null],
  ['__proto__/x', null],
])('%s is registered as %s', (alias, registered) => {
  expect(registeredType(alias)).toBe(registered)
})

test.each([
  ['a.jfif', 'image/jpeg'],
  ['a.opus', 'audio/ogg'],
  ['a.tar.gz', 'application/gzip'],
  ['noextension', 'application/octet-stream'],
  ['a.constructor', 'application/octet-stream'],
  ['feed.xml', 'application/xml'],
  [`${'n'.repeat(5_000)}.txt`, 'text/plain'],
  ['a\0b.txt', 'text/plain'],
])('%s sounds like %s', (name, type) => expect(mediaTypeOfName(name)).toBe(type))

test('a broken file of any kind is called by its name', async () => {
  for (const head of Object.values(FILES)) {
    const broken = new Uint8Array(HEAD_BYTES).fill(255)
    broken.set(head.slice(0, 12))
    expect(await mediaTypeOf(broken, 'a.unknownkind', '')).toMatch(/^[a-z]+\/[a-z0-9.+-]+(; codecs=opus)?$/)
  }
})
