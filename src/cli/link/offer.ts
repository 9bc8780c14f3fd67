/** Offers to link a phone when the gateway runs for the first time, at a terminal. */
import { isCancel, select } from '@clack/prompts'
import type { Terminal } from '../terminal.ts'
import { link } from './index.ts'

const LATER = ''

export async function offeredLink(terminal: Terminal, platforms: readonly string[]): Promise<void> {
  if (platforms.length === 0) return
  const platform = await select<string>({
    message: 'Link a phone now?',
    options: [
      { value: LATER, label: 'Not now', hint: 'meshgate link does it later' },
      ...platforms.map(name => ({ value: name, label: name })),
    ],
  })
  if (isCancel(platform) || platform === LATER) return
  await link(terminal, platform, { input: [] })
}
