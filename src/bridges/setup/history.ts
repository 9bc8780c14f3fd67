/** Settings by which a bridge brings messages from before a link. */
import type { KnownNetwork } from './networks.ts'

type Settings = Readonly<Record<string, unknown>>

const OFF: Settings = { 'backfill.enabled': false }
const ON: Settings = {
  'backfill.enabled': true,
  'backfill.max_initial_messages': 50,
  // Older messages come when somebody asks for them: by itself the queue would fetch all there are.
  'backfill.queue.enabled': false,
  'backfill.queue.manual': true,
}

/** @param wanted null: it stays as the configuration has it */
export function historySettings(wanted: boolean | null, network: KnownNetwork | undefined): Settings {
  if (wanted === null) return {}
  return wanted ? { ...ON, ...network?.history } : OFF
}
