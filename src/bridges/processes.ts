/** Bridge programs run by the gateway, one for each platform with a command. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { type ProcessRecord, SupervisedProcess } from '../runtime/supervised-process.ts'
import { isAnswering } from './bridge-probe.ts'

export type BridgeProcesses = ReturnType<typeof createBridgeProcesses>

export interface BridgeProgram {
  command: readonly string[]
  dir: string
  /** Listening address: a program that runs without answering there is restarted. */
  url: string
  /** Version of its configuration; another version is another program. */
  version: number
}

interface Running {
  key: string
  process: SupervisedProcess
  controller: AbortController
  done: Promise<void>
}

export function createBridgeProcesses(options: {
  /** The part of our environment that programs get. */
  environment: Record<string, string>
  clock: Clock
  logger: Logger
}) {
  const { clock, environment, logger } = options
  const running = new Map<string, Running>()

  function end(platform: string): Promise<void> {
    const one = running.get(platform)
    one?.controller.abort()
    return one?.done ?? Promise.resolve()
  }

  return {
    /** Runs the platform's program once the previous one has ended. Repeated calls do nothing. */
    run(platform: string, program: BridgeProgram): void {
      const { command, dir, url } = program
      const key = JSON.stringify(program)
      if (running.get(platform)?.key === key) return
      const before = end(platform)
      const controller = new AbortController()
      const process = new SupervisedProcess({
        name: platform,
        command: withConfig(command, dir),
        dir,
        environment,
        isAnswering: signal => isAnswering(url, signal),
        clock,
        logger,
      })
      const done = before
        .then(() => process.run(controller.signal))
        .catch(error => logger.error({ err: error, platform }, "the bridge's program can't be run"))
      running.set(platform, { key, process, controller, done })
    },

    /** Resolves when the platform's program is gone. */
    async stop(platform: string): Promise<void> {
      await end(platform)
      running.delete(platform)
    },

    async stopAll(): Promise<void> {
      await Promise.all([...running.keys()].map(end))
      running.clear()
    },

    /** Records by platform. */
    states: (): ReadonlyMap<string, Readonly<ProcessRecord>> =>
      new Map([...running].map(([platform, { process }]) => [platform, process.state])),
  }
}

/** Adds the configuration that `meshgate bridge add` wrote, unless the command names one. */
function withConfig(command: readonly string[], dir: string): string[] {
  const config = join(dir, 'config.yaml')
  const namesOne = command.some(word => /^(-c|--config)(=|$)/.test(word))
  return namesOne || !existsSync(config) ? [...command] : [...command, '-c', config]
}
