/** The gateway's program as tests run it in a process of its own. */
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..', '..')

/** The source on this Bun. */
export const SOURCE = [process.execPath, join(ROOT, 'src', 'main.ts')]

/** Where a run of all tests has put the binary that it built from this source. */
export const BUILT_BINARY = process.env.MESHGATE_BINARY

/** Command and first arguments. The binary starts in a third of the time, and is what users run. */
export const MESHGATE = BUILT_BINARY === undefined ? SOURCE : [BUILT_BINARY]
