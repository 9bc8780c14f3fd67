/** `meshgate backup FILE` and `meshgate restore FILE`. */
import { createReadStream, existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Writable } from 'node:stream'
import type { Command } from 'commander'
import { messageOf } from '../domain/errors.ts'
import { syncedSink } from '../lib/synced-sink.ts'
import { openPartialFile, type PartialFile } from './partial-file.ts'
import { CommandError, loadConfig, type Terminal } from './terminal.ts'

const STANDARD_STREAM = '-'

export function addBackupCommands(program: Command, terminal: Terminal, version: string): void {
  program
    .command('backup')
    .description('write database, files and bridges of DATA_DIR to one file, while the gateway may go on')
    .argument('<file>', 'such as meshgate.tar.zst; - for standard output')
    .option('--force', 'overwrite the file', false)
    .action((file: string, { force }: { force: boolean }) => backup(terminal, version, file, force))
  program
    .command('restore')
    .description('put a backup into a DATA_DIR without data; its .env stays as it is')
    .argument('<file>', 'that meshgate backup wrote; - for standard input')
    .option('--data-dir <folder>', 'instead of DATA_DIR')
    .option(
      '--send-waiting',
      'send the messages that waited when the backup was made, though the gateway may have sent them since; without it they fail, with that reason',
      false,
    )
    .option(
      '--unverified',
      'also a backup that SECRET_KEY does not vouch for: of an earlier version, of another key, or changed since',
      false,
    )
    .action((file: string, options: RestoreOptions) => restore(terminal, file, options))
}

async function backup(terminal: Terminal, version: string, file: string, force: boolean): Promise<void> {
  const { config, secrets } = loadConfig(terminal)
  const write = async (sink: Writable) => {
    // Loaded only here, so that other commands start without it.
    const { makeBackup } = await import('../modules/operations/backup/backup.ts')
    return makeBackup({
      dataDir: config.data.dir,
      sink,
      about: { meshgate: version, server_name: config.matrix.serverName },
      secretKey: secrets.secretKey,
      now: Date.now(),
    })
  }
  // Standard output carries the archive.
  const isStandard = file === STANDARD_STREAM
  const tell = isStandard ? terminal.complain : terminal.print
  const report = isStandard
    ? await write(process.stdout)
    : await intoFile(resolve(terminal.directory, file), force, write)
  tell(`${report.files} files, ${report.bytes.toLocaleString('en')} bytes before compression`)
  if (report.waiting > 0) tell(`${report.waiting} messages in it wait to be sent`)
  for (const name of report.missing) tell(`not in it: ${name}`)
  tell('.env is not in it: keep it apart from the backup, since without its SECRET_KEY no token works')
}

/** The file appears only once it is whole and on disk. */
async function intoFile<T>(file: string, force: boolean, write: (sink: Writable) => Promise<T>): Promise<T> {
  const there = statSync(file, { throwIfNoEntry: false })
  if (there && !there.isFile())
    throw new CommandError(`${file} is no file; - writes the backup to standard output`)
  if (there && !force) throw new CommandError(`${file} exists; --force overwrites it`)
  using partial = opened(file)
  const result = await write(syncedSink(partial.handle))
  partial.complete()
  return result
}

function opened(file: string): PartialFile {
  try {
    return openPartialFile(file)
  } catch (error) {
    throw new CommandError(`${file} can't be written: ${messageOf(error)}`)
  }
}

interface RestoreOptions {
  dataDir?: string
  unverified: boolean
  sendWaiting: boolean
}

async function restore(terminal: Terminal, file: string, options: RestoreOptions): Promise<void> {
  refuseWithoutEnv(terminal)
  const { config, secrets } = loadConfig(terminal)
  const dataDir =
    options.dataDir === undefined ? config.data.dir : resolve(terminal.directory, options.dataDir)
  const path = resolve(terminal.directory, file)
  if (file !== STANDARD_STREAM && !existsSync(path)) throw new CommandError(`${path} isn't there`)
  const { restoreBackup } = await import('../modules/operations/backup/restore.ts')
  const { manifest, waiting, commands } = await restoreBackup({
    source: file === STANDARD_STREAM ? process.stdin : createReadStream(path),
    dataDir,
    serverName: config.matrix.serverName,
    secretKeys: [secrets.secretKey, secrets.previousSecretKey].filter(key => key !== undefined),
    unverified: options.unverified,
    sendWaiting: options.sendWaiting,
    now: Date.now(),
  })
  terminal.print(`restored ${manifest.files.length} files of ${manifest.created_at} into ${dataDir}`)
  if (waiting > 0) {
    terminal.print(
      options.sendWaiting
        ? `${waiting} messages that waited then will be sent`
        : `${waiting} messages that waited then are not sent, as they may have been since: GET /api/v1/messages shows them as failed`,
    )
  }
  if (options.unverified) {
    for (const { platform, command } of commands)
      terminal.complain(`the gateway will run for the ${platform} bridge: ${command.join(' ')}`)
  }
}

/** With a missing SECRET_KEY `meshgate setup` makes a new one, which opens nothing in a backup. */
function refuseWithoutEnv({ directory, environment }: Terminal): void {
  const file = join(directory, '.env')
  if (existsSync(file) || environment.SECRET_KEY) return
  throw new CommandError(
    `${file} isn't there: put the .env of the gateway that made the backup there first (no setup: a backup is of no use without its SECRET_KEY)`,
  )
}
