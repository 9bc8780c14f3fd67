/** Where the program starts: the command line decides what to do. */
import { raiseFetchLimit } from './cli/fetch-limit.ts'
import { runCommandLine } from './cli/run.ts'
import { processEnvironment } from './config/index.ts'

const args = process.argv.slice(2)
const environment = processEnvironment()

// Whoever started us may stop reading what we say (`meshgate | head -1`); that is no reason to stop.
process.stdout.on('error', () => undefined)
process.stderr.on('error', () => undefined)

if (args.length === 0 || args[0] === 'serve') raiseFetchLimit(args, environment)

void runCommandLine(args, {
  directory: process.cwd(),
  environment,
  print: line => process.stdout.write(`${line}\n`),
  complain: line => process.stderr.write(`${line}\n`),
}).then(exitCode => process.exit(exitCode))
