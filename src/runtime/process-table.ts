/** Processes of this machine that may not be our children, such as one that a killed run of this program left behind. */
import { readFileSync } from 'node:fs'

/** @returns program and arguments of a running process, null when there is none with this id (or it is a zombie) */
function commandLineOf(pid: number): string[] | null {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    words.pop()
    return words.length > 0 ? words : null
  } catch {
    return process.platform === 'linux' ? null : commandLineByPs(pid)
  }
}

/** Where there is no /proc (macOS). Its words come joined by blanks. */
function commandLineByPs(pid: number): string[] | null {
  const { stdout, success } = Bun.spawnSync(['ps', '-o', 'command=', '-p', String(pid)], { stderr: 'ignore' })
  const line = stdout.toString().trim()
  return success && line !== '' ? [line] : null
}

/** Whether the process with this id is one that was started by this command. */
export function isRunning(pid: number, command: readonly string[]): boolean {
  const words = commandLineOf(pid)
  if (words === null) return false
  // A script's line begins with its interpreter; `ps` gives one word.
  return (
    words.join(' ').endsWith(command.slice(1).join(' ')) && words.join(' ').includes(baseName(command[0]))
  )
}

function baseName(program = ''): string {
  return program.slice(program.lastIndexOf('/') + 1)
}
