/**
 * Finds a bridge's program on its project's release page by GitHub's REST API, or on a mirror that
 * has the same paths.
 * @see https://docs.github.com/en/rest/releases/releases#get-a-release-by-tag-name
 */
import { z } from 'zod'
import { GatewayError } from '../../domain/errors.ts'
import { connectionProblem } from '../../lib/connection-problem.ts'
import { jsonOrNull } from '../../lib/json-or-null.ts'
import { textAtMost } from '../../lib/peer-request.ts'
import { followRedirects } from './follow-redirects.ts'

/** Where the release API is, and where the files are that it names. */
const API = 'https://api.github.com'
const FILES = 'https://github.com'
const TIMEOUT_MS = 30_000
const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** The newest release, in place of a version. */
export const LATEST = 'latest'

export interface ReleasedProgram {
  /** The release's tag, such as `v0.2607.0`. */
  version: string
  /** Name of the file, such as `mautrix-whatsapp-amd64`. */
  name: string
  url: string
  sizeBytes: number
  /** In hexadecimal; null when the page gives none. */
  sha256: string | null
}

/** The machine that the program is to run on, as Node names it. */
export interface Machine {
  platform: NodeJS.Platform
  arch: string
}

/** Ends of the files' names, as mautrix bridges are released. */
const SUFFIXES: Readonly<Record<string, string>> = {
  'linux x64': 'amd64',
  'linux arm64': 'arm64',
  'linux arm': 'arm',
  'darwin arm64': 'darwin-arm64',
  'darwin x64': 'darwin-amd64',
}
/** All that programs are released for. */
export const MACHINES = Object.keys(SUFFIXES).map(name => {
  const [platform, arch] = name.split(' ') as [NodeJS.Platform, string]
  return { platform, arch }
})
/** Lists the digests of a release's files, one `<sha256>  <name>` a line. */
const CHECKSUMS = 'sha256sums.txt'

const releaseSchema = z.object({
  tag_name: z.string().regex(/^[\w.+-]{1,100}$/),
  assets: z.array(
    z.object({
      name: z.string(),
      size: z.number().int().nonnegative(),
      browser_download_url: z.url({ protocol: /^https?$/ }),
      // Files that were uploaded before mid-2025 have none.
      digest: z.string().nullish(),
    }),
  ),
})
type Release = z.infer<typeof releaseSchema>

/**
 * The tag of a version. mautrix bridges print `v26.07`, or `v26.07.1`, and tag it `v0.2607.0`.
 * @param version as the program prints it or as it is tagged, with or without `v`
 */
export function tagOf(version: string): string {
  const calendar = /^v?(\d\d)\.(\d\d)(?:\.(\d+))?$/.exec(version)
  if (calendar) return `v0.${calendar[1]}${calendar[2]}.${calendar[3] ?? 0}`
  return /^\d/.test(version) ? `v${version}` : version
}

/**
 * @param repository on GitHub, such as `mautrix/whatsapp`
 * @param version a tag, or LATEST
 * @param mirror base URL of a server with the same paths; undefined: GitHub
 * @returns null when a mirror has no release page, so may be the program itself
 * @throws GatewayError not_found: no such release, or none for this machine; bridge_error: the page
 * can't be reached or answers something else
 */
export async function findReleasedProgram(
  { program, repository }: { program: string; repository: string },
  version: string,
  machine: Machine,
  mirror?: string,
): Promise<ReleasedProgram | null> {
  const release = await releaseOf(repository, version, mirror)
  if (release === null) return null
  const assets = release.assets.map(asset => ({ ...asset, url: fileUrl(asset.browser_download_url, mirror) }))
  const name = `${program}-${SUFFIXES[`${machine.platform} ${machine.arch}`]}`
  const asset = assets.find(candidate => candidate.name === name)
  if (!asset) throw noBuild(program, release, machine)
  const checksums = assets.find(candidate => candidate.name === CHECKSUMS)
  return {
    version: release.tag_name,
    name,
    url: asset.url,
    sizeBytes: asset.size,
    sha256: sha256In(asset.digest) ?? (checksums ? await listedDigest(checksums.url, name) : null),
  }
}

async function releaseOf(
  repository: string,
  version: string,
  mirror: string | undefined,
): Promise<Release | null> {
  const which = version === LATEST ? 'latest' : `tags/${encodeURIComponent(version)}`
  const url = `${mirror ?? API}/repos/${repository}/releases/${which}`
  const response = await ask(url)
  const body = jsonOrNull(await textAtMost(response, MAX_ANSWER_BYTES))
  const release = releaseSchema.safeParse(body)
  if (response.ok && release.success) return release.data
  if (mirror !== undefined && !isRefusal(response, body)) return null
  throw refusalOf(response, repository, version)
}

/** True for GitHub's own way of saying no: a mirror that answers so is a release page. */
function isRefusal(response: Response, body: unknown): boolean {
  return !response.ok && z.object({ message: z.string() }).safeParse(body).success
}

function refusalOf(response: Response, repository: string, version: string): GatewayError {
  if (response.status === 404) {
    return new GatewayError(
      'not_found',
      `--version: ${FILES}/${repository}/releases has no release ${version}`,
    )
  }
  if (response.headers.get('x-ratelimit-remaining') === '0') {
    const resetAt = new Date(Number(response.headers.get('x-ratelimit-reset')) * 1000)
    const when = Number.isNaN(resetAt.getTime()) ? 'later' : `after ${resetAt.toISOString()}`
    return new GatewayError(
      'bridge_error',
      `the release page takes no more requests from this address for now: try again ${when}, or get the program by yourself and give it with --from FILE`,
    )
  }
  return new GatewayError('bridge_error', `the release page of ${repository} answered ${response.status}`)
}

/** A mirror may have copied the page as it is: its files are then below the same path. */
function fileUrl(url: string, mirror: string | undefined): string {
  return mirror !== undefined && url.startsWith(`${FILES}/`) ? mirror + url.slice(FILES.length) : url
}

function sha256In(digest: string | null | undefined): string | null {
  return /^sha256:([0-9a-f]{64})$/i.exec(digest ?? '')?.[1]?.toLowerCase() ?? null
}

async function listedDigest(url: string, name: string): Promise<string | null> {
  const response = await ask(url)
  const lines = response.ok ? (await textAtMost(response, MAX_ANSWER_BYTES)).split('\n') : []
  const line = lines
    .map(text => /^([0-9a-f]{64}) [ *](.+?)\s*$/i.exec(text))
    .find(found => found?.[2] === name)
  return line?.[1]?.toLowerCase() ?? null
}

async function ask(url: string): Promise<Response> {
  try {
    return await followRedirects(url, AbortSignal.timeout(TIMEOUT_MS))
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw new GatewayError(
      'bridge_error',
      `${new URL(url).origin} can't be reached: ${connectionProblem(error)}; on a machine without internet, give the program with --from FILE`,
    )
  }
}

function noBuild(program: string, { tag_name, assets }: Release, { platform, arch }: Machine): GatewayError {
  const builds = assets.map(({ name }) => name).filter(name => name.startsWith(`${program}-`))
  const has = builds.length > 0 ? ` (it has ${builds.join(', ')})` : ''
  return new GatewayError(
    'not_found',
    `${program} ${tag_name} is not released for ${platform} on ${arch}${has}: run it on another machine or in a container, and give its address with --url`,
  )
}
