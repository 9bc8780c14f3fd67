/** The command line: its commands, and how each ends. */
import { Command, CommanderError } from 'commander'
import manifest from '../../package.json' with { type: 'json' }
import { addBackupCommands } from './backup.ts'
import { addBridgeCommand } from './bridge/index.ts'
import { addCredentialsCommand } from './credentials.ts'
import { addDoctorCommand } from './doctor.ts'
import { describeFailure } from './failures.ts'
import { healthcheck } from './healthcheck.ts'
import { addLinkCommand } from './link/index.ts'
import { addMigrateCommand } from './migrate.ts'
import { addRegistrationCommand } from './registration.ts'
import { setup } from './setup.ts'
import type { Terminal } from './terminal.ts'

/** @param args without the program's name. @returns the exit code; failures have been printed */
export async function runCommandLine(args: string[], terminal: Terminal): Promise<number> {
  try {
    await createProgram(terminal).parseAsync(args.length > 0 ? args : ['serve'], { from: 'user' })
    return 0
  } catch (error) {
    // Commander has already printed the help, the version or the wrong argument.
    if (error instanceof CommanderError) return error.exitCode
    terminal.complain(describeFailure(error))
    return 1
  }
}

function createProgram(terminal: Terminal): Command {
  const program = new Command('meshgate')
    .description('One REST API for WhatsApp, Signal, Telegram and other bridged networks')
    .version(manifest.version)
    .showSuggestionAfterError()
    // `--version` behind a command is the command's.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: text => terminal.print(text.trimEnd()),
      writeErr: text => terminal.complain(text.trimEnd()),
      outputError: (text, write) =>
        write(
          text
            .trim()
            .replace(/^error: /, 'meshgate: ')
            .replace(/\n/g, ' '),
        ),
    })

  const serve = async () => {
    // Loaded only here, so that other commands start without the server's modules.
    const { serve } = await import('./serve.ts')
    await serve(terminal, manifest.version)
  }
  program.command('serve').description('run the gateway (the default)').action(serve)
  program
    .command('setup')
    .description('write .env with fresh secrets, or fill in what is empty in it')
    .action(() => setup(terminal))
  addMigrateCommand(program, terminal)
  addCredentialsCommand(program, terminal)
  addBridgeCommand(program, terminal)
  addLinkCommand(program, terminal)
  addRegistrationCommand(program, terminal)
  addDoctorCommand(program, terminal)
  addBackupCommands(program, terminal, manifest.version)
  program
    .command('healthcheck')
    .description('ask the gateway running here whether it is well (exit code 0) or not (1)')
    .action(() => healthcheck(terminal))
  return program
}
