/** A bridge's running logins by process id. */
import type { BridgeContext } from './context.ts'
import type { LinkCodes } from './link-codes.ts'
import { type LoginProcess, ProvisioningError, startLogin } from './login-process.ts'

export type LoginDesk = ReturnType<typeof createLoginDesk>

/** Ended logins kept, so that waiting callers still learn the outcome. */
const KEPT_ENDED = 200

export function createLoginDesk(context: BridgeContext, codes: LinkCodes, linkBase: () => string) {
  const processes = new Map<string, LoginProcess>()

  function tidy(): void {
    const ended = [...processes.values()].filter(process => process.ended())
    for (const process of ended.slice(0, Math.max(0, ended.length - KEPT_ENDED))) processes.delete(process.id)
  }

  return {
    /** @throws ProvisioningError when there is no such flow or the network is unreachable */
    start(userId: string, flowId: string, replaces: string | null): LoginProcess {
      if (context.faults.of(context.facts.platform).offline) {
        throw new ProvisioningError(500, 'M_UNKNOWN', 'Internal error starting login')
      }
      const process = startLogin({ context, codes, linkBase, userId, flowId, replaces })
      tidy()
      processes.set(process.id, process)
      return process
    },
    /** @throws ProvisioningError when the user has no such running login */
    find(userId: string, processId: string): LoginProcess {
      const process = processes.get(processId)
      if (process?.userId !== userId) throw new ProvisioningError(404, 'M_NOT_FOUND', 'Login not found')
      return process
    },
    cancel(process: LoginProcess): void {
      process.cancel()
      processes.delete(process.id)
    },
    stop(): void {
      for (const process of processes.values()) process.cancel()
    },
  }
}
