/**
 * The bridges that `meshgate bridge add` attached (attach.ts): their rows with the secrets opened.
 * bridge-urls.ts knows how bridges reach us.
 */
import { knownNetwork } from '../../bridges/setup/networks.ts'
import type { Db } from '../../db/open.ts'
import type { BridgeRow } from '../../db/schema/index.ts'
import { StartError } from '../../domain/errors.ts'
import type { Sealer } from '../../lib/sealing.ts'
import { readProcessRecord, recordedProcesses } from '../../runtime/supervised-process.ts'
import { createAttachedBridgeRepository } from './repository.ts'

export interface AttachedBridge extends Omit<BridgeRow, 'asTokenSealed' | 'hsTokenSealed' | 'secretSealed'> {
  asToken: string
  hsToken: string
  /** The provisioning API's; null for a bridge without it. */
  secret: string | null
}

type Secret = 'as_token' | 'hs_token' | 'secret'

/** Binds a bridge's sealed secret to its use. */
export function bridgeSecretContext(platform: string, what: Secret): string {
  return `bridge:${platform}:${what}`
}

export type AttachedBridges = ReturnType<typeof createAttachedBridges>

export function createAttachedBridges(db: Pick<Db, 'read' | 'write'>, sealer: Sealer) {
  const repository = createAttachedBridgeRepository(db)
  function seal({ asToken, hsToken, secret, ...bridge }: AttachedBridge): BridgeRow {
    const sealed = (text: string, what: Secret) =>
      sealer.seal(text, bridgeSecretContext(bridge.platform, what))
    return {
      ...bridge,
      asTokenSealed: sealed(asToken, 'as_token'),
      hsTokenSealed: sealed(hsToken, 'hs_token'),
      secretSealed: secret === null ? null : sealed(secret, 'secret'),
    }
  }

  function open({ asTokenSealed, hsTokenSealed, secretSealed, ...row }: BridgeRow): AttachedBridge {
    const opened = (text: string, what: Secret) => {
      try {
        return sealer.open(text, bridgeSecretContext(row.platform, what))
      } catch {
        throw new StartError(
          `SECRET_KEY: the ${row.platform} bridge was attached under another one; set that again, or take the bridge away and attach it anew`,
        )
      }
    }
    return {
      ...row,
      asToken: opened(asTokenSealed, 'as_token'),
      hsToken: opened(hsTokenSealed, 'hs_token'),
      secret: secretSealed === null ? null : opened(secretSealed, 'secret'),
    }
  }

  return {
    /** By platform. @throws StartError when they were attached under another SECRET_KEY */
    list: async () => (await repository.list()).map(open),
    async find(platform: string): Promise<AttachedBridge | null> {
      const row = await repository.find(platform)
      return row && open(row)
    },
    deviceStates: repository.deviceStates,
    insert: (bridge: AttachedBridge) => repository.insert(seal(bridge)),
    replace: (bridge: AttachedBridge) => repository.replace(seal(bridge)),
    remove: repository.remove,
  }
}

/** @param program undefined: the one that the network's bridge usually has */
export function startCommandOf(
  { platform, dir }: Pick<AttachedBridge, 'platform' | 'dir'>,
  program?: string,
) {
  return `cd ${dir} && ${program ?? knownNetwork(platform)?.program ?? '<its program>'} -c config.yaml`
}

/** A failed update in words, with what to do about it; null when there is none. */
export function failedUpdate({
  platform,
  version,
  command,
  update,
}: AttachedBridge): { problem: string; advice: string } | null {
  if (update === null || update.failure === null) return null
  const stays = version ?? command?.[0]
  return {
    problem: `${update.version} didn't become ready: ${update.failure}; ${stays} runs on`,
    advice: `see meshgate bridge logs ${platform}; then try again with meshgate bridge update ${platform}, or stay with ${stays} by meshgate bridge restart ${platform}`,
  }
}

/** Describes a bridge's program by the gateway's notes in the bridge's folder. */
export function describeProcess(dir: string): string {
  const record = readProcessRecord(dir)
  if (!record) return 'not running'
  const { restarts, lastExit } = record
  const [pid] = recordedProcesses(dir)
  const state = pid === undefined ? 'not running' : `process ${pid}`
  if (lastExit === null) return state
  return `${state}, ${restarts} ${restarts === 1 ? 'restart' : 'restarts'}, last: ${lastExit}`
}
