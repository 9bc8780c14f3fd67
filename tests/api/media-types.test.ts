/** Files of messages, whose names and types come from strangers: what a browser is told of them. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { Elysia } from 'elysia'
import { mediaRoutes } from '../../src/http/routes/media/routes.ts'
import { addRoutes } from '../../src/http/routing.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const CONTENT = '<script>alert(1)</script>'
let folder: TempDir
beforeEach(() => {
  folder = tempDir()
  writeFileSync(folder.file('file'), CONTENT)
})
afterEach(() => folder[Symbol.dispose]())

function serve(mimeType: string, fileName = 'file.bin', path = 'media/x') {
  const files = { open: async () => ({ path: folder.file('file'), fileName, mimeType }) }
  const avatars = { open: async () => ({ bytes: new Uint8Array([1]), mimeType }) }
  const routes = mediaRoutes(files, avatars)
  const app = new Elysia()
  const nobody = async () => Promise.reject(new Error('nobody authenticates'))
  addRoutes(app, routes, { credentials: { authenticate: nobody }, tokens: { authenticate: nobody } })
  return app.handle(new Request(`http://localhost/api/v1/${path}?expires=1&signature=s`))
}

test.each([
  ['image/png', 'image/png'],
  ['Image/JPEG', 'image/jpeg'],
  ['audio/ogg; codecs=opus', 'audio/ogg'],
  ['application/pdf', 'application/pdf'],
  ['application/vnd.ms-excel', 'application/vnd.ms-excel'],
  ['text/plain; charset=utf-8', 'text/plain'],
  ['text/html', 'application/octet-stream'],
  ['TEXT/HTML; charset=utf-8', 'application/octet-stream'],
  ['application/xhtml+xml', 'application/octet-stream'],
  ['image/svg+xml', 'application/octet-stream'],
  ['text/xml', 'application/octet-stream'],
  ['text/javascript', 'application/octet-stream'],
  ['multipart/x-mixed-replace', 'application/octet-stream'],
  ['', 'application/octet-stream'],
  ['nothing', 'application/octet-stream'],
  ['image/png\r\nX-Injected: yes', 'application/octet-stream'],
  ['image/png, text/html', 'application/octet-stream'],
  ['imäge/png', 'application/octet-stream'],
])('a file of type %j is served as %s', async (mimeType, served) => {
  const response = await serve(mimeType)
  expect(response.status).toBe(200)
  // Bun adds the charset to texts.
  expect(response.headers.get('content-type')?.split(';')[0]).toBe(served)
  expect(response.headers.get('x-injected')).toBeNull()
  expect(response.headers.get('content-disposition')).toStartWith('attachment; ')
  expect(response.headers.get('content-security-policy')).toBe("default-src 'none'; sandbox")
  expect(await response.text()).toBe(CONTENT)
})

test.each([
  ['a"b.txt', 'attachment; filename="a_b.txt"; filename*=UTF-8\'\'a%22b.txt'],
  [
    'a\r\nSet-Cookie: x.txt',
    'attachment; filename="a__Set-Cookie: x.txt"; filename*=UTF-8\'\'a%0D%0ASet-Cookie%3A%20x.txt',
  ],
  ['../../etc/passwd', 'attachment; filename=".._.._etc_passwd"; filename*=UTF-8\'\'.._.._etc_passwd'],
  ['ü.txt', 'attachment; filename="_.txt"; filename*=UTF-8\'\'%C3%BC.txt'],
  ['\ud800.txt', 'attachment; filename="_.txt"; filename*=UTF-8\'\'%EF%BF%BD.txt'],
])('a file named %j is offered as %s', async (fileName, disposition) => {
  const { headers } = await serve('text/plain', fileName)
  expect(headers.get('content-disposition')).toBe(disposition)
  expect(headers.get('set-cookie')).toBeNull()
})

test('a picture of somebody is served as harmlessly', async () => {
  const picture = await serve('image/png', '', 'avatars/x')
  expect([picture.status, picture.headers.get('content-type')]).toEqual([200, 'image/png'])
  expect(picture.headers.get('content-security-policy')).toContain('sandbox')
  const page = await serve('text/html', '', 'avatars/x')
  expect(page.headers.get('content-type')).toBe('application/octet-stream')
})
