/** Carries out the faults of the sandbox's network, as far as the gateway runs to receive them. */
import type { JsonClient } from '../../support/json-client.ts'
import { type Injected, pause } from '../phase.ts'
import type { NetworkFault, Timed } from '../plan.ts'

export async function runNetworkTrack(
  sandbox: JsonClient,
  faults: readonly Timed<NetworkFault>[],
  injected: Injected,
  signal: AbortSignal,
): Promise<void> {
  for (const fault of faults) {
    await pause(fault.afterMs, signal)
    if (signal.aborted) break
    const wasTold = await begin(sandbox, fault)
    if (!wasTold) continue
    injected.add(fault.kind)
    if ('forMs' in fault) await pause(fault.forMs, signal)
    await calm(sandbox)
  }
}

/** @returns false when the gateway isn't running */
async function begin(sandbox: JsonClient, fault: NetworkFault): Promise<boolean> {
  const faults = () => {
    switch (fault.kind) {
      case 'network offline':
        return { offline: true }
      case 'sends refused for now':
        return { fail_next: fault.count, retriable: true }
      case 'sends delayed':
        return { delay_ms: fault.delayMs }
    }
  }
  return sandbox.post('/faults', faults()).then(
    ({ status }) => status === 200,
    () => false,
  )
}

/** Fails silently without a gateway: a new process starts without faults. */
export async function calm(sandbox: JsonClient): Promise<void> {
  await sandbox.post('/faults', { offline: false, delay_ms: 0 }).catch(() => undefined)
}
