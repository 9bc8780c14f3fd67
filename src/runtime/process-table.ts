/**
 * Processes of this machine, also those that aren't our children, such as one that a killed run of
 * this program left behind. A process is known by its id and its birth: both stay when it executes
 * another program (a script that ends in `exec`, a Python launcher), its command line doesn't.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { codeOf } from '../lib/error-codes.ts'

interface Entry {
  pid: number
  /** Not so when it has ended and its parent hasn't asked how yet. */
  isRunning: boolean
  /** The id of the process that began its session. */
  session: number
  birth: string
}

const isLinux = process.platform === 'linux'
/**
 * Fields of /proc/<pid>/stat behind the name in parentheses, which may itself hold blanks
 * (proc_pid_stat(5), from field 3 on).
 */
const STATE = 0
const SESSION = 3
const START_TIME = 19
const ZOMBIE = 'Z'

/** True if another process has this id, whoever's it is. */
export function isOfAnother(pid: number): boolean {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

/**
 * When the process began, as a text that no other process with this id has; null when there is
 * none.
 */
export function birthOf(pid: number): string | null {
  return entry(pid)?.birth ?? null
}

/**
 * The processes that run in the session that one process began: itself and all that it started,
 * unless they began sessions of their own.
 * @param dir where they work: tells them from strangers where the first may be gone for so long
 * that another had its id meanwhile
 * @returns the first one first; none when its id belongs to another process by now
 */
export function sessionOf(leader: number, birth: string, dir?: string): number[] {
  const first = entry(leader)
  if (first && first.birth !== birth) return []
  const members = everyEntry()
    .filter(({ session, isRunning }) => session === leader && isRunning)
    .map(({ pid }) => pid)
  const areOurs = first !== null || dir === undefined || members.some(pid => worksIn(pid, dir))
  return areOurs ? members.sort((a, b) => Number(b === leader) - Number(a === leader)) : []
}

/**
 * True when the process runs this command, for records that know no birth. A script's command line
 * begins with its interpreter.
 * @param command program and arguments
 */
export function runsCommand(pid: number, [program = '', ...args]: readonly string[]): boolean {
  const line = commandLineOf(pid)
  return line !== '' && line.endsWith(args.join(' ')) && line.includes(basename(program))
}

function everyEntry(): Entry[] {
  if (!isLinux) return entriesByPs(['-ax'])
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(name => entry(Number(name)))
    .filter(found => found !== null)
}

function entry(pid: number): Entry | null {
  if (!isLinux) return entriesByPs(['-p', String(pid)])[0] ?? null
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return {
      pid,
      isRunning: fields[STATE] !== ZOMBIE,
      session: Number(fields[SESSION]),
      birth: `${bootId()} ${fields[START_TIME]}`,
    }
  } catch {
    return null
  }
}

/**
 * Linux counts times of processes from the start of the machine, so they come again at the next
 * one.
 */
function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

/** Where there is no /proc (macOS), whose `ps` knows the process group, but not the session. */
function entriesByPs(which: readonly string[]): Entry[] {
  const { stdout } = Bun.spawnSync(['ps', ...which, '-o', 'pid=,pgid=,stat=,lstart='], { stderr: 'ignore' })
  return stdout
    .toString()
    .split('\n')
    .map(line => /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.+?)\s*$/.exec(line))
    .filter(match => match !== null)
    .map(([, pid, group, state, birth = '']) => ({
      pid: Number(pid),
      isRunning: !state?.startsWith(ZOMBIE),
      session: Number(group),
      birth,
    }))
}

function worksIn(pid: number, dir: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === dir || commandLineOf(pid).includes(dir)
  } catch {
    return false
  }
}

/** Its words joined by blanks; empty when it has ended. */
function commandLineOf(pid: number): string {
  if (!isLinux) {
    const { stdout } = Bun.spawnSync(['ps', '-o', 'command=', '-p', String(pid)], { stderr: 'ignore' })
    return stdout.toString().trim()
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0$/, '').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
