/** The commands that a bridge's bot lists, remembered: they change with the bridge's version. */
import type { Clock } from '../lib/clock.ts'
import { type BotCommand, commandLine } from './bot-commands.ts'
import { commandsIn } from './bot-texts.ts'

const REMEMBERED_MS = 3_600_000

export interface Help {
  text: string
  /** Arguments by command; empty when the help can't be parsed. */
  commands: ReadonlyMap<string, string>
}

export class BotHelp {
  private known: (Help & { at: number }) | null = null

  constructor(
    private readonly command: BotCommand,
    private readonly clock: Pick<Clock, 'steady'>,
  ) {}

  /** The last answer; null before the first. */
  get last(): Help | null {
    return this.known
  }

  async read(userId: string, withinMs?: number): Promise<Help> {
    if (this.known && this.clock.steady() - this.known.at < REMEMBERED_MS) return this.known
    const text = await this.command(userId, commandLine('help'), withinMs)
    this.known = { at: this.clock.steady(), text, commands: commandsIn(text) }
    return this.known
  }
}
