/** A bash that runs blocks of commands in order, as if pasted into a terminal. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { waitFor } from './wait-for.ts'

export interface ShellSession extends AsyncDisposable {
  /** @returns the block's standard output, and the exit code of its last command */
  run(block: string): Promise<{ output: string; exitCode: number }>
  /** The running block's output so far. */
  outputSoFar(): string
}

/** Printed after each block, on a line of its own. */
const MARK = '--- end of block'
const DEADLINE_MS = 15_000

/** @param home where curl and bash look for settings */
export function shellSession({ cwd, home, path }: { cwd: string; home: string; path: string }): ShellSession {
  const shell = Bun.spawn(['bash', '--norc', '--noprofile'], {
    cwd,
    env: { PATH: path, HOME: home },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let printed = ''
  let complaints = ''
  const reading = [
    read(shell.stdout, text => {
      printed += text
    }),
    read(shell.stderr, text => {
      complaints += text
    }),
  ]
  return {
    async run(block) {
      printed = ''
      complaints = ''
      shell.stdin.write(`${block}\nprintf '\\n${MARK} %s\\n' $?\n`)
      await shell.stdin.flush()
      const ended = await waitFor(() => new RegExp(`\\n${MARK} (\\d+)\\n`).exec(printed), {
        what: `the end of:\n${block}`,
        deadlineMs: DEADLINE_MS,
      }).catch(error => {
        throw new Error(`${error}\n${printed}\n${complaints}`)
      })
      return { output: printed.slice(0, ended.index), exitCode: Number(ended[1]) }
    },
    outputSoFar: () => printed,
    async [Symbol.asyncDispose]() {
      shell.kill('SIGKILL')
      await shell.exited
      await Promise.all(reading)
    },
  }
}

async function read(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder()
  for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }))
}

/** Puts a program into a folder of the PATH. @param command gets the arguments appended */
export function installScript(folder: string, name: string, command: readonly string[]): void {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, name)
  writeFileSync(file, `#!/bin/sh\nexec ${command.map(word => `'${word}'`).join(' ')} "$@"\n`)
  chmodSync(file, 0o755)
}
