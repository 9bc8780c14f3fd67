/** `meshgate bridge …`. A running gateway notices within two seconds. */
import { type Command, InvalidArgumentError } from 'commander'
import { printFindings } from '../findings.ts'
import { CommandError, loadConfig, type Terminal } from '../terminal.ts'
import { type AddOptions, add } from './add.ts'
import type { FetchOptions } from './fetched-program.ts'
import { list } from './list.ts'
import { logs } from './logs.ts'
import { remove } from './remove.ts'
import { restart, update } from './update.ts'

export function addBridgeCommand(program: Command, terminal: Terminal): void {
  const bridge = program.command('bridge').description('bridges to real networks')
  bridge
    .command('add')
    .description('attach a bridge: fetches its program, writes its configuration and registers it')
    .argument('<platform>', 'its name in the API, such as wa, signal, telegram')
    .option('--version <version>', 'the release to fetch, such as v26.07, or latest')
    .option('--from <file|url>', 'the program, or a mirror of the release page')
    .option('--command <command>', 'a program of yours, for the gateway to run')
    .option('--url <url>', 'where a bridge is that somebody else runs')
    .option('--example <file>', "the bridge's example configuration, where its program isn't on this machine")
    .option('--homeserver-url <url>', 'how the bridge reaches the homeserver')
    .option('--gateway-url <url>', 'how the bridge reaches this gateway')
    .option('--database <uri>', "the bridge's database: postgres://… or a SQLite file")
    .option('--dir <folder>', "for the bridge's files; by default bridges/<platform> in DATA_DIR")
    .option('--history <on|off>', 'the last 50 messages of each chat from before a link; by default on')
    .option(
      '--set <key=value>',
      'a further key of its configuration, such as network.api_id=12345; repeatable',
      collect,
      [],
    )
    .option('--force', 'change an attached bridge: what is not given stays, its tokens too', false)
    .action((platform: string, options: AddOptions) => add(terminal, platform, options))
  bridge
    .command('update')
    .description('run a newer program, and go back if it does not become ready')
    .argument('<platform>')
    .option('--version <version>', 'the release to fetch, such as v26.07, or latest')
    .option('--from <file|url>', 'the program, or a mirror of the release page')
    .action((platform: string, options: FetchOptions) => update(terminal, platform, options))
  bridge
    .command('restart')
    .description('end the program of a bridge that the gateway runs, and start it again')
    .argument('<platform>')
    .action((platform: string) => restart(terminal, platform))
  bridge
    .command('logs')
    .description('print the last output of a bridge that the gateway runs')
    .argument('<platform>')
    .option('-f, --follow', 'go on printing it', false)
    .option('-n, --lines <number>', 'how many lines', wholeNumber, 100)
    .action((platform: string, options: { follow: boolean; lines: number }) =>
      logs(terminal, platform, options),
    )
  bridge
    .command('list')
    .description('list the attached bridges')
    .action(() => list(terminal))
  bridge
    .command('check')
    .description('whether a bridge can be used, and if not, what to do')
    .argument('<platform>')
    .action((platform: string) => check(terminal, platform))
  bridge
    .command('remove')
    .description('take a bridge away: unregisters it, and its devices are logged out')
    .argument('<platform>')
    .option('--keep-files', 'leave its configuration and its database where they are', false)
    .action((platform: string, { keepFiles }: { keepFiles: boolean }) =>
      remove(terminal, platform, keepFiles),
    )
}

/** @throws CommandError after printing what is wrong */
async function check(terminal: Terminal, platform: string): Promise<void> {
  const { config, secrets } = loadConfig(terminal)
  // Loaded only here, so that other commands start without it.
  const { diagnoseBridge } = await import('../../app/doctor.ts')
  const { total, failures } = await printFindings(terminal, diagnoseBridge(config, secrets, platform))
  if (total === 0) {
    throw new CommandError(`platform: there is no bridge for "${platform}"; meshgate bridge add attaches one`)
  }
  if (failures > 0) throw new CommandError(`the ${platform} bridge can't be used yet`)
}

function wholeNumber(text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected a number of lines.')
}

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}
