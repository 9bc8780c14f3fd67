/** `meshgate doctor`: checks everything a deployment needs. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { ConfigError } from '../config/index.ts'
import { type Finding, failure, ok } from '../modules/operations/doctor/doctor.ts'
import { printFindings } from './findings.ts'
import { CommandError, loadConfig, type Terminal } from './terminal.ts'

export function addDoctorCommand(program: Command, terminal: Terminal): void {
  program
    .command('doctor')
    .description('look at everything the gateway needs, and say what to do about what is wrong')
    .option('--json', 'print the findings as JSON', false)
    .action(({ json }: { json: boolean }) => doctor(terminal, json))
}

/** @throws CommandError after printing what is wrong */
async function doctor(terminal: Terminal, json: boolean): Promise<void> {
  const findings = findingsOf(terminal)
  if (json) {
    const all = await Array.fromAsync(findings)
    terminal.print(JSON.stringify(all, null, 2))
    return end(all.filter(({ state }) => state === 'failure').length)
  }
  const { warnings, failures } = await printFindings(terminal, findings)
  const told = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`
  if (failures === 0)
    terminal.print(warnings === 0 ? 'all is well' : `well enough: ${told(warnings, 'warning')}`)
  end(failures)
}

function end(failures: number): void {
  if (failures > 0) throw new CommandError(`${failures} of the checks failed`)
}

/** Without valid settings there is nothing else to check. */
async function* findingsOf(terminal: Terminal): AsyncGenerator<Finding> {
  const subject = 'settings'
  let settings: ReturnType<typeof loadConfig>
  try {
    settings = loadConfig(terminal)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    yield {
      subject,
      ...failure(error.message, 'correct it in .env or the environment; .env.example describes each setting'),
    }
    return
  }
  yield { subject, ...ok(`${settings.config.mode}, ${settings.config.data.dir}`) }
  // Loaded only here, so that other commands start without it.
  const { diagnose } = await import('../app/doctor.ts')
  yield* diagnose(settings.config, settings.secrets, join(terminal.directory, '.env'))
}
