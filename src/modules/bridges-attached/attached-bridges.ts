/**
 * The bridges that `meshgate bridge add` attached: their rows with the secrets opened.
 * `createAttachedBridges({ repository, sealer })`
 */
import type { BridgeNamespaces, BridgeRow } from '../../db/schema/index.ts'
import { StartError } from '../../domain/errors.ts'
import type { Sealer } from '../../lib/sealing.ts'
import type { AttachedBridgeRepository } from './repository.ts'

export interface AttachedBridge {
  platform: string
  url: string
  registrationId: string
  senderLocalpart: string
  botLocalpart: string
  asToken: string
  hsToken: string
  /** Of the provisioning API; null for a bridge without it. */
  secret: string | null
  namespaces: BridgeNamespaces
  /** What the gateway runs; null when somebody else runs the bridge. */
  command: string[] | null
  dir: string
  createdAt: number
  updatedAt: number
}

export interface AttachedBridges {
  /** By platform. @throws StartError when SECRET_KEY is another than the one they were attached under */
  list(): Promise<AttachedBridge[]>
  find(platform: string): Promise<AttachedBridge | null>
  /** How many devices of the platform are in each state. */
  deviceStates(platform: string): Promise<ReadonlyMap<string, number>>
  insert(bridge: AttachedBridge): Promise<void>
  replace(bridge: AttachedBridge): Promise<void>
  remove(platform: string): Promise<void>
}

/** What a bridge's sealed secret is bound to. */
export function bridgeSecretContext(platform: string, what: 'as_token' | 'hs_token' | 'secret'): string {
  return `bridge:${platform}:${what}`
}

export function createAttachedBridges({
  repository,
  sealer,
}: {
  repository: AttachedBridgeRepository
  sealer: Sealer
}): AttachedBridges {
  function seal({ asToken, hsToken, secret, ...bridge }: AttachedBridge): BridgeRow {
    const sealed = (text: string, what: Parameters<typeof bridgeSecretContext>[1]) =>
      sealer.seal(text, bridgeSecretContext(bridge.platform, what))
    return {
      ...bridge,
      asTokenSealed: sealed(asToken, 'as_token'),
      hsTokenSealed: sealed(hsToken, 'hs_token'),
      secretSealed: secret === null ? null : sealed(secret, 'secret'),
    }
  }

  function open({ asTokenSealed, hsTokenSealed, secretSealed, ...row }: BridgeRow): AttachedBridge {
    const opened = (text: string, what: Parameters<typeof bridgeSecretContext>[1]) => {
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
    list: async () => (await repository.list()).map(open),
    find: async platform => {
      const row = await repository.find(platform)
      return row && open(row)
    },
    deviceStates: repository.deviceStates,
    insert: bridge => repository.insert(seal(bridge)),
    replace: bridge => repository.replace(seal(bridge)),
    remove: repository.remove,
  }
}
