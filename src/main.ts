/** Where the program starts: the command line decides what to do. */
import { runCommandLine } from './cli/run.ts'

void runCommandLine(process.argv.slice(2), {
  directory: process.cwd(),
  environment: undefined,
  print: line => process.stdout.write(`${line}\n`),
  complain: line => process.stderr.write(`${line}\n`),
}).then(exitCode => process.exit(exitCode))
