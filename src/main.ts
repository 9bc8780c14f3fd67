/** Where the program starts: the command line decides what to do. */
import { raiseFetchLimit } from './cli/fetch-limit.ts'
import { processEnvironment } from './config/process-environment.ts'

const args = process.argv.slice(2)
const environment = processEnvironment()

// Whatever the program writes is its owner's alone.
process.umask(0o077)

// Whoever started us may stop reading our output (`meshgate | head -1`): no reason to stop.
process.stdout.on('error', () => undefined)
process.stderr.on('error', () => undefined)

if (args.length === 0 || args[0] === 'serve') raiseFetchLimit(args, environment)

// Loaded only now: the process that is replaced has no use for it.
void import('./cli/run.ts')
  .then(({ runCommandLine }) =>
    runCommandLine(args, {
      directory: process.cwd(),
      environment,
      isInteractive: process.stdin.isTTY === true && process.stdout.isTTY === true,
      print: line => process.stdout.write(`${line}\n`),
      complain: line => process.stderr.write(`${line}\n`),
    }),
  )
  .then(exitCode => process.exit(exitCode))
