/** Fetching files by URL, from real servers that behave well and badly. */
import { describe, expect, test } from 'bun:test'
import { createServer, type Socket } from 'node:net'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { systemClock } from '../../../src/lib/clock.ts'
import { createEndpointGuard, type EndpointGuard } from '../../../src/outbound/endpoint-guard.ts'
import {
  createFileClient,
  type FetchedFile,
  FileNotFetched,
  fileUrlProblem,
} from '../../../src/outbound/file-client.ts'

const anywhere = createEndpointGuard({ allowPrivate: true, allowHttp: true, clock: systemClock })
const never = new AbortController().signal
const MAX_BYTES = 10_000

interface Rules {
  timeoutMs?: number
  guard?: Pick<EndpointGuard, 'addressesOf'>
  take?: (file: FetchedFile) => Promise<unknown>
  signal?: AbortSignal
}

const asText = async ({ fileName, mimeType, stream }: FetchedFile) => {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return { fileName, mimeType, text: Buffer.concat(chunks).toString() }
}

const fetchFile = (
  url: string,
  { timeoutMs = 5_000, guard = anywhere, take = asText, signal = never }: Rules = {},
) =>
  createFileClient({ maxBytes: MAX_BYTES, timeoutMs, userAgent: 'Meshgate/test', guard }).fetch(
    url,
    take,
    signal,
  )

/** A server that records its requests. */
function served(answer: (request: Request, path: string) => Response | Promise<Response>) {
  const requests: { method: string; url: string; headers: Headers }[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const { method, url } = request
      requests.push({ method, url, headers: new Headers(request.headers) })
      return answer(request, new URL(request.url).pathname)
    },
  })
  return {
    url: server.url.origin,
    requests,
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

/** A server that writes what it is told as it is told, whatever HTTP says. */
function rawServer(write: (socket: Socket) => void) {
  const open = new Set<Socket>()
  const server = createServer(socket => {
    open.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => write(socket))
  })
  const listening = new Promise<string>(resolve => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`)
    })
  })
  return {
    url: listening,
    [Symbol.dispose]() {
      for (const socket of open) socket.destroy()
      server.close()
    },
  }
}

test('a file is asked for without credentials, and comes with its name and type', async () => {
  await using server = served(() => new Response('hello', { headers: { 'content-type': 'text/csv' } }))
  expect(await fetchFile(`${server.url}/a/list%20of%20all.csv?key=1#part`)).toEqual({
    fileName: 'list of all.csv',
    mimeType: 'text/csv',
    text: 'hello',
  })
  const [request] = server.requests
  expect(request?.method).toBe('GET')
  expect(request?.url).toBe(`${server.url}/a/list%20of%20all.csv?key=1`)
  expect(request?.headers.get('user-agent')).toBe('Meshgate/test')
  for (const name of ['authorization', 'cookie', 'referer']) expect(request?.headers.get(name)).toBeNull()
})

describe('its name', () => {
  const nameFor = async (disposition: string | undefined, path = '/') => {
    using server = rawServer(socket =>
      socket.end(
        `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${disposition === undefined ? '' : `Content-Disposition: ${disposition}\r\n`}\r\n`,
      ),
    )
    return (await fetchFile(`${await server.url}${path}`, { take: async file => file })) as FetchedFile
  }

  test.each([
    ['attachment; filename="report 1.pdf"', 'report 1.pdf'],
    [`attachment; filename="EUR.pdf"; filename*=UTF-8''%e2%82%ac.pdf`, '€.pdf'],
    [`inline; filename*=iso-8859-1'en'%A3.pdf`, '£.pdf'],
    // As many servers write it, though a header is Latin-1.
    ['attachment; filename="übung.pdf"', 'übung.pdf'],
    ['attachment; filename="../../etc/passwd"', 'passwd'],
    ['attachment; filename="C:\\\\temp\\\\a.txt"', 'a.txt'],
    ['attachment; filename=".."', 'x.bin'],
    ['attachment', 'x.bin'],
    ['attachment; filename', 'x.bin'],
    [undefined, 'x.bin'],
  ])('%s is %s', async (disposition, expected) => {
    expect((await nameFor(disposition, '/x.bin')).fileName).toBe(expected)
  })

  test('a name too long for a disk is cut before its extension, at a whole character', async () => {
    const { fileName } = await nameFor(`attachment; filename="${'é'.repeat(200)}.jpeg"`)
    expect(Buffer.byteLength(fileName)).toBeLessThanOrEqual(255)
    expect(fileName).toMatch(/^é+\.jpeg$/)
  })

  test.each([
    ['/', ''],
    ['/a/b/', ''],
    ['/%E0%A4%A', '%E0%A4%A'],
    ['/a%2Fb%00.txt', 'b.txt'],
  ])('of the path %s is %j', async (path, expected) => {
    expect((await nameFor(undefined, path)).fileName).toBe(expected)
  })
})

describe('redirects', () => {
  const chain = (length: number) =>
    served((_, path) => {
      const step = Number(path.slice(1))
      return step < length
        ? new Response(null, { status: 302, headers: { location: `/${step + 1}` } })
        : new Response('there')
    })

  test('three are followed, and the name is of the last URL', async () => {
    await using server = chain(3)
    expect(await fetchFile(`${server.url}/0`)).toMatchObject({ fileName: '3', text: 'there' })
  })

  test('a fourth, and a loop, is refused', async () => {
    await using server = chain(4)
    await expect(fetchFile(`${server.url}/0`)).rejects.toThrow(
      'file_url_refused: it redirects more than 3 times',
    )
    expect(server.requests).toHaveLength(4)
    await using loop = served(() => new Response(null, { status: 307, headers: { location: '/' } }))
    await expect(fetchFile(loop.url)).rejects.toThrow('file_url_refused: it redirects more than 3 times')
  })

  test('each is checked as the first URL is', async () => {
    await using secret = served(() => new Response('secret'))
    await using server = served(
      () => new Response(null, { status: 302, headers: { location: `${secret.url}/` } }),
    )
    const port = new URL(server.url).port
    const guard = {
      addressesOf: (url: string) => {
        if (new URL(url).hostname === 'files.example') return Promise.resolve(['127.0.0.1'])
        return createEndpointGuard({ allowPrivate: false, allowHttp: true, clock: systemClock }).addressesOf(
          url,
        )
      },
    }
    await expect(fetchFile(`http://files.example:${port}/`, { guard })).rejects.toThrow(
      /^file_url_refused: expected a public address, and its host is or leads to one that is loopback$/,
    )
    expect(server.requests).toHaveLength(1)
    expect(secret.requests).toHaveLength(0)
  })

  test.each(['file:///etc/passwd', 'data:text/plain,x', 'ftp://x.example/', 'http://me:pass@127.0.0.1/'])(
    'one to %s is refused',
    async location => {
      await using server = served(() => new Response(null, { status: 302, headers: { location } }))
      await expect(fetchFile(server.url)).rejects.toThrow(/^file_url_refused: expected /)
    },
  )
})

describe('what is refused', () => {
  test.each([404, 403, 500, 204, 206, 304])('status %d', async status => {
    await using server = served(() => new Response(null, { status }))
    await expect(fetchFile(server.url)).rejects.toThrow(`file_url_http_${status}`)
  })

  test('a file that says it is too large, before any of it is read', async () => {
    let read = 0
    using server = rawServer(socket => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${MAX_BYTES + 1}\r\n\r\n`)
      read++
    })
    const take = () => Promise.reject(new Error('taken'))
    await expect(fetchFile(await server.url, { take })).rejects.toThrow(
      `file_url_too_large: expected at most ${MAX_BYTES} bytes`,
    )
    expect(read).toBe(1)
  })

  test('a file that turns out to be too large', async () => {
    await using server = served(() => new Response(new Blob(['x'.repeat(MAX_BYTES + 1)]).stream()))
    await expect(fetchFile(server.url)).rejects.toThrow(/^file_url_too_large/)
    await using exact = served(() => new Response(new Blob(['x'.repeat(MAX_BYTES)]).stream()))
    expect(await fetchFile(exact.url)).toMatchObject({ text: 'x'.repeat(MAX_BYTES) })
  })

  test('a small answer that unpacks to a large one, of which no more than the limit is unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(300_000_000))
    await using server = served(() => new Response(bomb, { headers: { 'content-encoding': 'gzip' } }))
    const before = process.memoryUsage().rss
    await expect(fetchFile(server.url)).rejects.toThrow(/^file_url_too_large/)
    expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000)
  })

  test('a coding that is none, or not known', async () => {
    const answer = (coding: string) => new Response('plain', { headers: { 'content-encoding': coding } })
    await using gzip = served(() => answer('gzip'))
    await expect(fetchFile(gzip.url)).rejects.toThrow('file_url_refused: it is not gzip')
    await using odd = served(() => answer('compress'))
    await expect(fetchFile(odd.url)).rejects.toThrow(/^file_url_refused: .*Content-Encoding/)
    await using cut = served(
      () =>
        new Response(gzipSync('x'.repeat(500)).subarray(0, 15), { headers: { 'content-encoding': 'gzip' } }),
    )
    await expect(fetchFile(cut.url)).rejects.toThrow('file_url_refused: it is not gzip')
  })

  test('an answer that ends before the length it says', async () => {
    using server = rawServer(socket => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf'))
    await expect(fetchFile(await server.url)).rejects.toThrow('file_url_refused: connection reset')
  })

  test('a server that is not there', async () => {
    const failure: unknown = await fetchFile('http://127.0.0.1:1/').catch(error => error)
    expect(failure).toBeInstanceOf(FileNotFetched)
    expect(failure).toHaveProperty('message', 'file_url_refused: connection refused')
  })

  test('a name that leads nowhere', async () => {
    const guard = createEndpointGuard({
      allowPrivate: false,
      allowHttp: true,
      clock: systemClock,
      resolve: () => Promise.reject(new Error('ENOTFOUND')),
    })
    await expect(fetchFile('https://nowhere.example/', { guard })).rejects.toThrow(
      "file_url_refused: the name of the host can't be resolved",
    )
  })
})

test('what is packed arrives unpacked', async () => {
  await using server = served((_, path) => {
    const coding = path.slice(1)
    const bytes = coding === 'br' ? brotliCompressSync('hello') : gzipSync('hello')
    return new Response(bytes, { headers: { 'content-encoding': coding } })
  })
  for (const coding of ['gzip', 'br'])
    expect(await fetchFile(`${server.url}/${coding}`)).toMatchObject({ text: 'hello' })
})

describe('the time', () => {
  test.each([
    ['a server without an answer', ''],
    ['a body that trickles', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx'],
    [
      'a body that trickles packed',
      'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n\x1f',
    ],
  ])('is over with %s', async (_, said) => {
    using server = rawServer(socket => socket.write(said, 'latin1'))
    await expect(fetchFile(await server.url, { timeoutMs: 200 })).rejects.toThrow(
      'file_url_timeout: expected within 0.2 seconds',
    )
  })

  test('is over with a name that takes for ever to resolve', async () => {
    const guard = { addressesOf: () => new Promise<null>(() => undefined) }
    await expect(fetchFile('https://slow.example/', { guard, timeoutMs: 100 })).rejects.toThrow(
      /^file_url_timeout/,
    )
  })

  test('is over with a redirect to a server without an answer', async () => {
    using silent = rawServer(() => undefined)
    const location = await silent.url
    await using server = served(() => new Response(null, { status: 302, headers: { location } }))
    await expect(fetchFile(server.url, { timeoutMs: 200 })).rejects.toThrow(/^file_url_timeout/)
  })
})

test('a stop ends the fetch with its own reason', async () => {
  using server = rawServer(socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx'))
  const stop = new AbortController()
  const take = async (file: FetchedFile) => {
    stop.abort(new Error('stopping'))
    return asText(file)
  }
  await expect(fetchFile(await server.url, { take, signal: stop.signal })).rejects.toThrow('stopping')
})

test('what whoever takes the file throws is passed on', async () => {
  await using server = served(() => new Response('x'))
  const take = () => Promise.reject(new Error('the disk is full'))
  await expect(fetchFile(server.url, { take })).rejects.toThrow('the disk is full')
})

test.each([
  ['https://files.example/a.pdf', null],
  ['HTTP://files.example', null],
  ['files.example/a.pdf', 'expected an http(s):// URL'],
  ['file:///etc/passwd', 'expected an http(s):// URL'],
  ['https://me@files.example/', 'expected a URL without user and password'],
])('%s: %s', (url, problem) => {
  expect(fileUrlProblem(url)).toBe(problem)
})
