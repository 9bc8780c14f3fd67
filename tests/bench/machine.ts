/** Describes the machine: the figures of a disk mean nothing without the disk. */
import { closeSync, fdatasyncSync, openSync, statfsSync, writeSync } from 'node:fs'
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os'
import { tempDir } from '../support/temp-dir.ts'
import { median } from './statistics.ts'

const WRITES = 200
const PAGE = Buffer.alloc(4096, 1)

/** Magic numbers of statfs(2). */
const FILE_SYSTEMS: Record<number, string> = {
  61267: 'ext4',
  16914836: 'tmpfs (memory: nothing is durable, the figures are flattered)',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  2035054128: 'overlayfs',
}

export function describeMachine(): string {
  using folder = tempDir()
  const processors = cpus()
  const fileSystem = FILE_SYSTEMS[statfsSync(folder.path).type] ?? 'unknown file system'
  return [
    `${processors.length} cores (${processors[0]?.model.trim() ?? 'unknown'})`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `${platform()} ${release()} ${arch()}`,
    `Bun ${Bun.version}`,
    // The load includes ours; more than the number of cores means that others ran.
    `load average ${loadavg()[0]?.toFixed(1)}`,
    `${fileSystem}, 4 KiB written and fdatasynced in ${syncMs(folder.file('sync')).toFixed(2)} ms`,
  ].join(' · ')
}

function syncMs(path: string): number {
  const file = openSync(path, 'w')
  const took: number[] = []
  for (let write = 0; write < WRITES; write++) {
    const startedAt = performance.now()
    writeSync(file, PAGE)
    fdatasyncSync(file)
    took.push(performance.now() - startedAt)
  }
  closeSync(file)
  return median(took)
}
