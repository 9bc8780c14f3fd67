/** Fetches a bridge's program and says so, with a progress bar where somebody looks. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { progress } from '@clack/prompts'
import {
  type FetchedProgram,
  fetchProgram,
  type ProgramDigests,
  programsFolder,
} from '../../bridges/releases/fetch-program.ts'
import { LATEST, tagOf } from '../../bridges/releases/release-page.ts'
import { BRIDGE_LICENCE, type KnownNetwork } from '../../bridges/setup/networks.ts'
import { childEnvironment } from '../../config/index.ts'
import type { Db } from '../../db/open.ts'
import { createSettingsRepository } from '../../modules/tenants/settings-repository.ts'
import { baseUrl, CommandError, type Terminal } from '../terminal.ts'

export interface FetchOptions {
  /** As the program prints it or as its release is tagged. */
  version?: string
  /** A file, or the address of one or of a mirror. */
  from?: string
}

/**
 * @param dir folder of the bridge's files
 * @throws GatewayError, CommandError naming the option
 */
export async function fetchedProgram(
  terminal: Terminal,
  platform: string,
  network: KnownNetwork | undefined,
  options: FetchOptions,
  { dir, db }: { dir: string; db: Db },
): Promise<FetchedProgram> {
  const program = network?.program ?? platform
  const release = network?.release
  const from = options.from === undefined ? undefined : sourceOf(terminal, options.from)
  const isFile = from !== undefined && 'file' in from
  const asked = options.version === undefined ? undefined : versionOf(options.version)
  const bar = progressBar(terminal)
  const given = new AbortController()
  const giveUp = () => given.abort(new CommandError('given up: nothing was kept'))
  process.once('SIGINT', giveUp)
  const fetched = await fetchProgram({
    program,
    repository: release?.repository ?? null,
    version: asked ?? (isFile ? undefined : (release?.tried ?? LATEST)),
    from,
    dir: programsFolder(dir),
    machine: process,
    environment: childEnvironment(terminal.environment),
    digests: digestsIn(db),
    onFound({ name, version, url }) {
      terminal.print(`fetching ${name} ${version} from ${new URL(url).origin}`)
      if (release?.tried != null && release.tried !== version)
        terminal.print(`  This version of Meshgate was tried with ${release.tried}.`)
    },
    signal: given.signal,
    onProgress: bar.advance,
  }).finally(() => {
    bar.end()
    process.removeListener('SIGINT', giveUp)
  })
  terminal.print(
    `  sha256         ${fetched.sha256}${fetched.isVouchedFor ? '' : ' (of the file itself: nothing to compare it with)'}`,
  )
  if (release) {
    terminal.print(
      `  licence        ${BRIDGE_LICENCE}, a program of its own: https://github.com/${release.repository}`,
    )
  }
  return fetched
}

/** @returns the tag, which becomes a part of the file's name */
function versionOf(version: string): string {
  if (/^[\w.+-]{1,100}$/.test(version)) return tagOf(version)
  throw new CommandError(`--version: "${version}": expected a release, such as v26.07, or latest`)
}

function sourceOf({ directory }: Terminal, from: string): { file: string } | { url: string } {
  const file = resolve(directory, from)
  return /^https?:\/\//i.test(from) && !existsSync(file) ? { url: baseUrl('--from', from) } : { file }
}

/** A released file never changes: what was fetched once is known forever. */
function digestsIn(db: Db): ProgramDigests {
  const settings = createSettingsRepository(db)
  const key = (name: string, version: string) => `program:${name}@${version}`
  return {
    find: (name, version) => settings.find(key(name, version)),
    note: (name, version, sha256) => settings.insert(key(name, version), sha256),
  }
}

/** Shows nothing unless a person looks. */
function progressBar({ isInteractive }: Terminal) {
  let bar: ReturnType<typeof progress> | undefined
  let shown = 0
  return {
    advance(done: number, total: number): void {
      if (!isInteractive || total === 0) return
      if (!bar) {
        bar = progress({ max: total })
        bar.start(`${(total / 1024 ** 2).toFixed(0)} MiB`)
      }
      bar.advance(done - shown)
      shown = done
    },
    end(): void {
      bar?.stop()
    },
  }
}
