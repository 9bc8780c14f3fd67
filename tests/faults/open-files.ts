/** How many files and sockets a process holds open, as proc_pid_fd(5) lists them. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const ESTABLISHED = '01'

/**
 * Connections that its clients hold to it are left out: they are theirs to close.
 *
 * @param port where the process listens
 * @returns null when it has ended, and where the kernel has no proc(5)
 */
export function openFiles(pid: number, port: number): number | null {
  try {
    const folder = `/proc/${pid}/fd`
    const files = readdirSync(folder)
    const clients = connectionsTo(port)
    return files.filter(name => !clients.has(targetOf(`${folder}/${name}`))).length
  } catch {
    return null
  }
}

/** Those whose local end is `port`, as links of open files name them. The columns are those of proc_pid_net(5). */
function connectionsTo(port: number): Set<string> {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const sockets = readFileSync('/proc/net/tcp', 'utf8')
    .trim()
    .split('\n')
    .map(line => line.trim().split(/\s+/))
  return new Set(
    sockets
      .filter(([, address, , state]) => address?.endsWith(local) && state === ESTABLISHED)
      .map(columns => `socket:[${columns[9]}]`),
  )
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    return 'closed meanwhile'
  }
}
