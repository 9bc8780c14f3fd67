/** Fetching a bridge's program from its release page, a mirror or a file. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pinnedDigests } from '../../../scripts/pin-bridges.ts'
import { type FetchRequest, fetchProgram } from '../../../src/bridges/releases/fetch-program.ts'
import { findReleasedProgram, LATEST, tagOf } from '../../../src/bridges/releases/release-page.ts'
import { GatewayError } from '../../../src/domain/errors.ts'
import { ReleaseServer, sha256 } from '../../support/release-server.ts'
import { tempDir } from '../../support/temp-dir.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const OLD = bytes('#!/bin/sh\necho "mautrix-whatsapp v26.06 (built long ago)"\n')
const NEW = bytes('#!/bin/sh\necho "mautrix-whatsapp v26.07 (built at noon)"\n')
const LINUX = { platform: 'linux', arch: 'x64' } as const

let server: ReleaseServer
let dir: ReturnType<typeof tempDir>
let known: Map<string, string>

beforeEach(() => {
  dir = tempDir()
  known = new Map()
  server = new ReleaseServer([
    release('v0.2606.0', { 'mautrix-whatsapp-amd64': OLD }),
    release('v0.2607.0', { 'mautrix-whatsapp-amd64': NEW, 'mautrix-whatsapp-darwin-arm64': NEW }),
  ])
})
afterEach(async () => {
  await server[Symbol.asyncDispose]()
  dir[Symbol.dispose]()
})

function release(tag: string, files: Record<string, Uint8Array>) {
  return { repository: 'mautrix/whatsapp', tag, files }
}

function fetched(request: Partial<FetchRequest> = {}) {
  return fetchProgram({
    program: 'mautrix-whatsapp',
    repository: 'mautrix/whatsapp',
    version: 'v0.2607.0',
    from: { url: server.url },
    dir: bin(),
    machine: LINUX,
    environment: { PATH: process.env.PATH ?? '' },
    digests: {
      find: async (name, version) => known.get(`${name}@${version}`) ?? null,
      note: async (name, version, digest) => void known.set(`${name}@${version}`, digest),
    },
    ...request,
  })
}

const bin = () => join(dir.path, 'bin')

async function refusal(promise: Promise<unknown>): Promise<GatewayError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(GatewayError)
  return error as GatewayError
}

describe('the version', () => {
  test.each([
    ['v26.07', 'v0.2607.0'],
    ['26.07', 'v0.2607.0'],
    ['v26.05.1', 'v0.2605.1'],
    ['v0.2607.0', 'v0.2607.0'],
    ['0.12.5', 'v0.12.5'],
    ['v0.12.5', 'v0.12.5'],
    [LATEST, LATEST],
  ])('%s is tagged %s', (version, tag) => {
    expect(tagOf(version)).toBe(tag)
  })
})

describe('a release', () => {
  test('is fetched whole, executable, and is known by its digest from then on', async () => {
    const seen: [number, number][] = []
    const program = await fetched({ onProgress: (done, total) => seen.push([done, total]) })
    const file = join(bin(), 'mautrix-whatsapp-v0.2607.0')
    expect(program).toEqual({ file, version: 'v0.2607.0', sha256: sha256(NEW), isVouchedFor: true })
    expect(new Uint8Array(readFileSync(file))).toEqual(NEW)
    expect(statSync(file).mode & 0o777).toBe(0o700)
    expect(readdirSync(bin())).toEqual(['mautrix-whatsapp-v0.2607.0'])
    expect(known.get('mautrix-whatsapp-amd64@v0.2607.0')).toBe(sha256(NEW))
    expect(seen.at(-1)).toEqual([NEW.length, NEW.length])
  })

  test('latest is the newest', async () => {
    expect((await fetched({ version: LATEST })).version).toBe('v0.2607.0')
  })

  test.each([
    ['darwin', 'arm64', 'mautrix-whatsapp-darwin-arm64'],
    ['linux', 'x64', 'mautrix-whatsapp-amd64'],
  ] as const)('for %s on %s it is %s', async (platform, arch, name) => {
    const names: string[] = []
    await fetched({ machine: { platform, arch }, onFound: program => names.push(program.name) })
    expect(names).toEqual([name])
  })

  test.each([
    ['win32', 'x64'],
    ['linux', 'arm64'],
  ] as const)('without a build for %s on %s says so, and what helps', async (platform, arch) => {
    const { message } = await refusal(fetched({ machine: { platform, arch } }))
    expect(message).toBe(
      `mautrix-whatsapp v0.2607.0 is not released for ${platform} on ${arch} (it has mautrix-whatsapp-amd64, mautrix-whatsapp-darwin-arm64): run it on another machine or in a container, and give its address with --url`,
    )
  })

  test('that is not there is refused by its name', async () => {
    const { code, message } = await refusal(fetched({ version: 'v9.9.9' }))
    expect([code, message]).toEqual([
      'not_found',
      '--version: https://github.com/mautrix/whatsapp/releases has no release v9.9.9',
    ])
  })

  test('without a digest of its own has it from sha256sums.txt', async () => {
    await using other = new ReleaseServer([
      release('v0.2607.0', {
        'mautrix-whatsapp-amd64': NEW,
        'sha256sums.txt': bytes(`${sha256(OLD)}  other\n${sha256(NEW)}  mautrix-whatsapp-amd64\n`),
      }),
    ])
    other.trouble = { digest: () => null }
    expect((await fetched({ from: { url: other.url } })).isVouchedFor).toBe(true)
  })
})

describe('nothing is left of', () => {
  afterEach(() => {
    expect(readdirSync(bin())).toEqual([])
    expect(known.size).toBe(0)
  })

  test('a file with another digest', async () => {
    server.trouble = { storage: () => new Response(NEW.slice().fill(0)) }
    expect((await refusal(fetched())).message).toBe(
      `mautrix-whatsapp-amd64: its SHA-256 is ${sha256(NEW.slice().fill(0))}, expected ${sha256(NEW)}: nothing was kept`,
    )
  })

  test.each([
    ['shorter', () => new Response(NEW.slice(0, -1))],
    ['longer', () => new Response(Buffer.concat([NEW, NEW]))],
    ['empty', () => new Response('')],
  ])('a file that is %s than the page says', async (_, storage) => {
    server.trouble = { storage }
    expect((await refusal(fetched())).message).toMatch(/the download broke off after \d+ bytes; try again/)
  })

  test('a download that breaks off', async () => {
    server.trouble = {
      storage: () =>
        new Response(
          new ReadableStream({
            start(controller) {
              controller.enqueue(NEW.slice(0, 10))
              controller.error(new Error('gone'))
            },
          }),
        ),
    }
    expect((await refusal(fetched())).code).toBe('bridge_error')
  })

  test('a download that is given up', async () => {
    const given = new AbortController()
    // A storage that says nothing more.
    server.trouble = {
      storage: () => new Response(new ReadableStream({ start: c => c.enqueue(NEW.slice(0, 9)) })),
    }
    const onProgress = () => given.abort(new Error('given up'))
    await expect(fetched({ signal: given.signal, onProgress })).rejects.toThrow('given up')
  })

  test.each([403, 404, 500])('a storage that answers %i', async status => {
    server.trouble = { storage: () => new Response('no', { status }) }
    expect((await refusal(fetched())).message).toEndWith(`answered ${status}`)
  })
})

describe('another digest for a version', () => {
  test('than it had before is refused before anything is fetched', async () => {
    known.set('mautrix-whatsapp-amd64@v0.2607.0', sha256(OLD))
    const { message } = await refusal(fetched())
    expect(message).toBe(
      `mautrix-whatsapp-amd64 v0.2607.0: its SHA-256 was ${sha256(OLD)}, and is ${sha256(NEW)} now: a released file never changes, so nothing was kept`,
    )
    expect(server.asked).toEqual(['/repos/mautrix/whatsapp/releases/tags/v0.2607.0'])
  })

  test('is refused when the page gives none, too', async () => {
    server.trouble = { digest: () => null }
    known.set('mautrix-whatsapp-amd64@v0.2607.0', sha256(OLD))
    expect((await refusal(fetched())).message).toContain(`expected ${sha256(OLD)}`)
    expect(readdirSync(bin())).toEqual([])
  })
})

describe('the page', () => {
  test('that takes no more requests says when it will', async () => {
    const headers = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1798761600' }
    server.trouble = {
      api: () => Response.json({ message: 'API rate limit exceeded' }, { status: 403, headers }),
    }
    expect((await refusal(fetched())).message).toContain('try again after 2027-01-01T00:00:00.000Z')
  })

  test('that redirects in a circle is given up', async () => {
    server.trouble = {
      location: () => `${server.url}/mautrix/whatsapp/releases/download/v0.2607.0/mautrix-whatsapp-amd64`,
    }
    expect((await refusal(fetched())).message).toContain('redirects more than 5 times')
  })

  test('that redirects to a file is not followed', async () => {
    server.trouble = { location: () => 'file:///etc/passwd' }
    expect((await refusal(fetched())).message).toContain("redirects to an address that isn't https://")
  })

  test('that cannot be reached: the error says what helps', async () => {
    const { url } = server
    await server[Symbol.asyncDispose]()
    const found = findReleasedProgram({ program: 'p', repository: 'a/b' }, 'v1', LINUX, url)
    expect((await refusal(found)).message).toBe(
      `${url} can't be reached: connection refused; on a machine without internet, give the program with --from FILE`,
    )
  })
})

describe('--from', () => {
  test('a file: its version is what it prints', async () => {
    const file = join(dir.path, 'downloaded')
    writeFileSync(file, NEW)
    const program = await fetched({ from: { file }, version: undefined })
    expect(program).toEqual({
      file: join(bin(), 'mautrix-whatsapp-v26.07'),
      version: 'v26.07',
      sha256: sha256(NEW),
      isVouchedFor: false,
    })
  })

  test('a file that does not run is named by its digest', async () => {
    const file = join(dir.path, 'downloaded')
    writeFileSync(file, 'no program')
    const program = await fetched({ from: { file }, version: undefined })
    expect(program.version).toBe(sha256(bytes('no program')).slice(0, 12))
  })

  test('a file that is not there', async () => {
    const { message } = await refusal(fetched({ from: { file: join(dir.path, 'none') } }))
    expect(message).toStartWith(`--from: ${join(dir.path, 'none')} can't be read: `)
  })

  test('the address of the program itself', async () => {
    const url = `${server.url}/mautrix/whatsapp/releases/download/v0.2607.0/mautrix-whatsapp-amd64`
    expect(await fetched({ from: { url } })).toMatchObject({ version: 'v26.07', isVouchedFor: false })
  })

  test('a mirror that copied the page: its own files are taken', async () => {
    server.trouble = {
      api: () =>
        Response.json({
          tag_name: 'v0.2607.0',
          assets: [
            {
              name: 'mautrix-whatsapp-amd64',
              size: NEW.length,
              digest: `sha256:${sha256(NEW)}`,
              browser_download_url:
                'https://github.com/mautrix/whatsapp/releases/download/v0.2607.0/mautrix-whatsapp-amd64',
            },
          ],
        }),
    }
    expect((await fetched()).sha256).toBe(sha256(NEW))
  })
})

test('the list for the binary has the digest of every build of what was tried', async () => {
  expect(await pinnedDigests(server.url)).toEqual({
    'mautrix-whatsapp-amd64@v0.2607.0': sha256(NEW),
    'mautrix-whatsapp-darwin-arm64@v0.2607.0': sha256(NEW),
  })
})
