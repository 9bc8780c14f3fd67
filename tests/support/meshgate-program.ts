/** The command that runs the gateway's program in its own process. */
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..', '..')

/** Runs the source on this Bun. */
export const SOURCE = [process.execPath, join(ROOT, 'src', 'main.ts')]

/** The binary that a run of all tests has built from this source. */
export const BUILT_BINARY = process.env.MESHGATE_BINARY

/** Command and first arguments. The binary starts in a third of the time, and is what users run. */
export const MESHGATE = BUILT_BINARY === undefined ? SOURCE : [BUILT_BINARY]
