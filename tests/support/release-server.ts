/**
 * Plays the release page of GitHub: the REST API's paths and JSON, and files that are redirected to
 * a storage on another port, with signed addresses.
 * @see https://docs.github.com/en/rest/releases/releases#get-a-release-by-tag-name
 */
import { createHash } from 'node:crypto'

export interface Release {
  repository: string
  tag: string
  /** Bytes of each file, by name. */
  files: Record<string, Uint8Array>
}

/** How it misbehaves. */
export interface Trouble {
  /** Answers of the API; undefined: as it should. */
  api?: (request: Request) => Response | undefined
  /** Answers of the storage. */
  storage?: (name: string, bytes: Uint8Array) => Response | undefined
  /** Digest that the API gives; null: none, as for files of before mid-2025. */
  digest?: (name: string, digest: string) => string | null
  /** Where files are redirected to. */
  location?: (url: string) => string
}

export class ReleaseServer implements AsyncDisposable {
  trouble: Trouble = {}
  /** Paths that were asked for, in order. */
  readonly asked: string[] = []
  private readonly storage = Bun.serve({ port: 0, fetch: request => this.stored(request) })
  private readonly pages = Bun.serve({ port: 0, fetch: request => this.page(request) })

  constructor(private readonly releases: Release[]) {}

  get url(): string {
    return `http://127.0.0.1:${this.pages.port}`
  }

  private page(request: Request): Response {
    const { pathname } = new URL(request.url)
    this.asked.push(pathname)
    const api = /^\/repos\/([^/]+\/[^/]+)\/releases\/(?:tags\/(.+)|latest)$/.exec(pathname)
    if (api) return this.trouble.api?.(request) ?? this.api(String(api[1]), api[2])
    const file = /^\/([^/]+\/[^/]+)\/releases\/download\/([^/]+)\/([^/]+)$/.exec(pathname)
    const release = file && this.find(String(file[1]), file[2])
    if (!file || !release?.files[String(file[3])]) return new Response('Not Found', { status: 404 })
    const stored = `http://127.0.0.1:${this.storage.port}/${release.repository}/${release.tag}/${file[3]}?sig=x`
    return new Response(null, {
      status: 302,
      headers: { location: this.trouble.location?.(stored) ?? stored },
    })
  }

  private find(repository: string, tag: string | undefined): Release | undefined {
    const own = this.releases.filter(release => release.repository === repository)
    return tag === undefined ? own.at(-1) : own.find(release => release.tag === tag)
  }

  private api(repository: string, tag: string | undefined): Response {
    const release = this.find(repository, tag)
    if (!release) {
      return Response.json(
        { message: 'Not Found', documentation_url: 'https://docs.github.com/rest', status: '404' },
        { status: 404 },
      )
    }
    return Response.json({
      tag_name: release.tag,
      name: release.tag,
      draft: false,
      prerelease: false,
      assets: Object.entries(release.files).map(([name, bytes]) => ({
        name,
        state: 'uploaded',
        size: bytes.byteLength,
        digest: this.digestOf(name, bytes),
        browser_download_url: `${this.url}/${repository}/releases/download/${release.tag}/${name}`,
      })),
    })
  }

  private digestOf(name: string, bytes: Uint8Array): string | null {
    const digest = `sha256:${sha256(bytes)}`
    return this.trouble.digest ? this.trouble.digest(name, digest) : digest
  }

  private stored(request: Request): Response {
    const [owner, repository, tag, name = ''] = new URL(request.url).pathname.slice(1).split('/')
    const bytes = this.find(`${owner}/${repository}`, tag)?.files[name]
    if (!bytes) return new Response('Not Found', { status: 404 })
    return this.trouble.storage?.(name, bytes) ?? new Response(Buffer.from(bytes))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.pages.stop(true), this.storage.stop(true)])
  }
}

/** A release's files for the machine that this runs on. */
export function forThisMachine(program: string, bytes: Uint8Array): Record<string, Uint8Array> {
  const suffixes: Record<string, string> = {
    'linux x64': 'amd64',
    'linux arm64': 'arm64',
    'darwin arm64': 'darwin-arm64',
    'darwin x64': 'darwin-amd64',
  }
  return { [`${program}-${suffixes[`${process.platform} ${process.arch}`]}`]: bytes }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
