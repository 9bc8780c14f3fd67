/** `meshgate bridge check`: reports whether a bridge can be used, and what to do if not. */
import { printFindings } from '../findings.ts'
import { CommandError, loadConfig, type Terminal } from '../terminal.ts'

/** @throws CommandError after printing what is wrong */
export async function check(terminal: Terminal, platform: string): Promise<void> {
  const { config, secrets } = loadConfig(terminal)
  // Loaded only here, so that other commands start without it.
  const { diagnoseBridge } = await import('../../app/doctor.ts')
  const { total, failures } = await printFindings(terminal, diagnoseBridge(config, secrets, platform))
  if (total === 0) {
    throw new CommandError(`platform: there is no bridge for "${platform}"; meshgate bridge add attaches one`)
  }
  if (failures > 0) throw new CommandError(`the ${platform} bridge can't be used yet`)
}
