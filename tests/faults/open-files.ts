/** Counts a process's open files and sockets, as proc_pid_fd(5) lists them. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const ESTABLISHED = '01'

/**
 * Leaves out connections from clients: closing those is up to the clients.
 * @param port where the process listens
 * @returns null when the process has ended, or without a proc(5)
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

/** Sockets with local port `port`, named as fd links. Columns are those of proc_pid_net(5). */
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
