/**
 * Keeps configurations that `meshgate bridge add` wrote leading to the listener for bridges.
 * Versions without that listener wrote PORT; BRIDGE_PORT may have changed, or be 0 (any free port).
 */
import {
  chownSync,
  existsSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { readdressConfig } from '../../bridges/setup/config-addresses.ts'
import { isEveryInterface, isLoopback } from '../../lib/hosts.ts'
import type { Whereabouts } from './addresses.ts'
import type { AttachedBridge } from './attached-bridges.ts'

export interface ListenerAddress {
  config: Whereabouts
  /** How this machine reaches the listener for bridges now. */
  url: string
  /** How it did before, if it was open before. */
  urlBefore: string | null
  /** So its configuration leads there, by whatever name. */
  hasComeToMainPort: boolean
}

/**
 * @returns whether the configuration was changed; false also when it isn't ours, or leads elsewhere
 * @throws Error when it can't be read or written
 */
export function readdressBridge(
  bridge: Pick<AttachedBridge, 'dir' | 'url' | 'asToken'>,
  listener: ListenerAddress,
): boolean {
  const file = join(bridge.dir, 'config.yaml')
  if (!existsSync(file)) return false
  const before = readFileSync(file, 'utf8')
  const after = readdressConfig(before, bridge.asToken, address => addressNow(address, bridge.url, listener))
  if (after === null || after === before) return false
  replaceFile(realpathSync(file), after)
  return true
}

/** Replaces it at once, as the bridge may be reading it, and keeps its owner. */
function replaceFile(file: string, text: string): void {
  const { mode, uid, gid } = statSync(file)
  const draft = `${file}.new`
  try {
    writeFileSync(draft, text, { mode: mode & 0o777 })
    chownSync(draft, uid, gid)
    renameSync(draft, file)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}

/** @returns null when the address is right, or isn't known to lead to us */
function addressNow(address: string, bridgeUrl: string, listener: ListenerAddress): string | null {
  if (!URL.canParse(address)) return null
  const { protocol, hostname, port, origin, pathname } = new URL(address)
  const path = pathname === '/' ? '' : pathname
  const { config, url, urlBefore, hasComeToMainPort } = listener
  if (origin === new URL(url).origin) return null
  const isMainPort = protocol === 'http:' && (port || '80') === String(config.http.port)
  if (protocol === 'http:' && isLoopback(hostname)) {
    const isOurs = isMainPort || port === '0' || origin === originOf(urlBefore)
    return isOurs ? `${url}${path}` : null
  }
  // With TLS, a bridge on this machine used the public address.
  if (origin === originOf(config.http.publicUrl) && isLoopback(new URL(bridgeUrl).hostname))
    return `${url}${path}`
  // A bridge in a container uses a name of ours, and reaches every port that listens for all.
  const isReachable = hasComeToMainPort && isEveryInterface(config.bridgeListener.host)
  return isMainPort && isReachable ? `http://${hostname}:${new URL(url).port || '80'}${path}` : null
}

function originOf(url: string | null | undefined): string | null {
  return url ? new URL(url).origin : null
}
