/**
 * Tries a newer program of a bridge that `meshgate bridge update` fetched. It takes the old one's
 * place once the bridge is ready; else the old one goes on, with configuration and database as they
 * were, since a newer program may have changed both. A killed gateway tries again at its start.
 */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { BridgeSet } from '../bridges/bridges.ts'
import type { BridgeProcesses } from '../bridges/processes.ts'
import { programsFolder } from '../bridges/releases/fetch-program.ts'
import { forgetSavedState, restoreState, saveState } from '../bridges/setup/saved-state.ts'
import { messageOf } from '../domain/errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { AttachedBridge, AttachedBridges } from '../modules/bridges-attached/bridges-attached.ts'

/** A new version may bring a large database up to date first, in milliseconds. */
const READY_WITHIN_MS = 180_000
/** A program that ended so often won't become ready. */
const MAX_RESTARTS = 2
const LOOK_MS = 250

export interface BridgeUpdateParts {
  attached: Pick<AttachedBridges, 'replace'>
  processes: BridgeProcesses
  bridges: Pick<BridgeSet, 'noteStopped' | 'untilReady'>
  clock: Clock
  logger: Logger
}

export type PendingUpdate = NonNullable<AttachedBridge['update']>

/**
 * Resolves when the bridge's row says how it went.
 * @param url where the program listens
 * @param signal aborts when the gateway stops: the row stays as it is
 */
export async function tryUpdate(
  bridge: AttachedBridge,
  update: PendingUpdate,
  { url, signal }: { url: string; signal: AbortSignal },
  { attached, processes, bridges, clock, logger }: BridgeUpdateParts,
): Promise<void> {
  const { platform, dir, version } = bridge
  const { command } = update
  const about = { platform, from: version, to: update.version }
  logger.info(about, "a bridge's new program is tried")
  // The same when it has succeeded: the program runs on.
  const updatedAt = clock.now()
  let saved: string | null = null
  let failure: string | null
  try {
    await processes.stop(platform)
    bridges.noteStopped(platform)
    saved = saveState(dir, update.version)
    processes.run(platform, { command, dir, url, version: updatedAt })
    failure = await problemOf(platform, signal, { processes, bridges, clock })
  } catch (error) {
    // A full disk, say: the bridge must not stay stopped.
    failure = messageOf(error)
  }
  if (signal.aborted) return
  if (failure === null) {
    forgetSavedState(dir)
    await attached.replace({ ...bridge, command, version: update.version, update: null, updatedAt })
    removeOtherPrograms(dir, [command, bridge.command])
    logger.info(about, "a bridge's new program is ready")
    return
  }
  await processes.stop(platform)
  if (saved !== null) restoreState(dir, saved)
  await attached.replace({ ...bridge, update: { ...update, failure }, updatedAt: clock.now() })
  logger.error({ ...about, failure }, "a bridge's new program didn't become ready: the one before goes on")
}

/** @returns why it isn't going to be ready; null when it is */
async function problemOf(
  platform: string,
  stop: AbortSignal,
  { processes, bridges, clock }: Pick<BridgeUpdateParts, 'processes' | 'bridges' | 'clock'>,
): Promise<string | null> {
  const late = new AbortController()
  const signal = AbortSignal.any([stop, late.signal])
  let isReady = false
  const ready = bridges.untilReady(platform, signal).then(() => {
    isReady = !signal.aborted
  })
  const deadline = clock.steady() + READY_WITHIN_MS
  let failure: string | null = null
  while (!isReady && failure === null && !stop.aborted) {
    await clock.sleep(LOOK_MS, stop)
    const state = processes.states().get(platform)
    if (state && state.restarts >= MAX_RESTARTS) failure = `it ends again and again (${state.lastExit})`
    else if (clock.steady() >= deadline) failure = `it isn't ready after ${READY_WITHIN_MS / 60_000} minutes`
  }
  late.abort()
  await ready
  return isReady ? null : failure
}

/** Keeps the program in use and the one before it. */
function removeOtherPrograms(dir: string, commands: (string[] | null)[]): void {
  const kept = commands.map(command => command?.[0])
  const folder = programsFolder(dir)
  for (const name of readdirSync(folder)) {
    const file = join(folder, name)
    if (!kept.includes(file)) rmSync(file, { force: true })
  }
}
