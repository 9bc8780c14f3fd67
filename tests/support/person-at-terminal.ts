/** A program at a terminal of its own: a person reads what it shows, and types. */
import { waitFor } from './wait-for.ts'

export interface TerminalOptions {
  cwd: string
  env: Record<string, string>
  /** Lines of the window. */
  rows?: number
  /** Milliseconds for each thing that is waited for. */
  deadlineMs?: number
}

export class PersonAtTerminal implements AsyncDisposable {
  private raw = ''
  private readonly child: Bun.Subprocess
  private readonly deadlineMs: number

  constructor(
    readonly command: readonly string[],
    { cwd, env, rows = 60, deadlineMs = 30_000 }: TerminalOptions,
  ) {
    this.deadlineMs = deadlineMs
    const decoder = new TextDecoder()
    this.child = Bun.spawn([...command], {
      cwd,
      env: { TERM: 'xterm-256color', ...env },
      terminal: {
        cols: 160,
        rows,
        data: (_, bytes) => {
          this.raw += decoder.decode(bytes, { stream: true })
        },
      },
    })
  }

  /** All that was shown, without colours and movements, whether it is still to be seen or not. */
  get shown(): string {
    return Bun.stripANSI(this.raw).replaceAll('\r', '')
  }

  /** @returns the match, once it is shown */
  reads(pattern: RegExp): Promise<RegExpExecArray> {
    return this.until(() => pattern.exec(this.shown), `to show ${pattern}`)
  }

  /** @returns what `condition` finds, once it does */
  until<T>(condition: () => T, what: string): Promise<NonNullable<Exclude<T, false>>> {
    const program = this.command.join(' ')
    return waitFor(condition, { what: `${program} ${what}`, deadlineMs: this.deadlineMs }).catch(error => {
      throw new Error(`${error}\n${this.shown.slice(-2_000)}`)
    })
  }

  /** Types, with Enter at the end. */
  types(text: string): void {
    this.child.terminal?.write(`${text}\r`)
  }

  interrupts(): void {
    this.child.terminal?.write('\u0003')
  }

  /** @returns the exit code */
  async ends(): Promise<number> {
    const { code } = await this.until(
      () => this.child.exitCode !== null && { code: this.child.exitCode },
      'to end',
    )
    return code
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGTERM')
    await this.child.exited
    this.child.terminal?.close()
  }
}
