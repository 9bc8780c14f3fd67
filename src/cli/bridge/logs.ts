/** `meshgate bridge logs`: what the bridge's program has printed, and goes on printing. */
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { systemClock } from '../../lib/clock.ts'
import { outputFiles } from '../../runtime/output-file.ts'
import { withBridges } from '../database.ts'
import { CommandError, type Terminal } from '../terminal.ts'

const LOOK_MS = 200

export async function logs(
  terminal: Terminal,
  platform: string,
  { follow, lines }: { follow: boolean; lines: number },
): Promise<void> {
  let dir = ''
  await withBridges(terminal, async bridges => {
    const bridge = await bridges.find(platform)
    if (!bridge) throw new CommandError(`platform: there is no attached bridge "${platform}"`)
    if (!bridge.command)
      throw new CommandError(
        `platform: the gateway doesn't run the ${platform} bridge, so it has no output of it`,
      )
    dir = bridge.dir
  })
  const [before = '', file = ''] = outputFiles(dir)
  const [older, newer] = [bytesOf(before), bytesOf(file)]
  const all = `${older}${newer}`.split('\n').slice(0, -1)
  for (const line of lines === 0 ? [] : all.slice(-lines)) terminal.print(line)
  if (follow) await printFrom(newer.length, file, terminal)
}

function bytesOf(file: string): Buffer {
  return existsSync(file) ? readFileSync(file) : Buffer.alloc(0)
}

/** Prints what is added to the file, until the process is ended. */
async function printFrom(from: number, file: string, terminal: Terminal): Promise<never> {
  let rest = ''
  for (let at = from; ; await systemClock.sleep(LOOK_MS)) {
    const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
    // The file was begun anew.
    if (size < at) at = 0
    if (size === at) continue
    const parts = (rest + textBetween(file, at, size)).split('\n')
    rest = parts.pop() ?? ''
    at = size
    for (const line of parts) terminal.print(line)
  }
}

function textBetween(file: string, from: number, to: number): string {
  const handle = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(to - from)
    return bytes.toString('utf8', 0, readSync(handle, bytes, 0, bytes.length, from))
  } finally {
    closeSync(handle)
  }
}
