/** The test bridge itself: its own checks (format, vet and tests), and each thing that it plays. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { ALL_FIELDS, type Features } from '../../support/announcing-homeserver.ts'
import { testBridge } from '../../support/bridge-program.ts'
import { conversationCases } from './played/conversations.ts'
import { featureCases } from './played/features.ts'
import { groupCases } from './played/groups.ts'
import { hiddenIdCases } from './played/hidden-ids.ts'
import { HISTORY, historyCases } from './played/history.ts'
import { loginCases } from './played/logins.ts'
import { noticeCases } from './played/notices.ts'
import { openScene, type Scene, type SceneOf } from './played/scene.ts'
import { SETTINGS, settingCases } from './played/settings.ts'
import { stateCases } from './played/states.ts'

setDefaultTimeout(120_000)

/** Settings of the bridge for most cases. */
const PLAYED = { 'bridge.phone_numbers_in_profile': 'true', 'network.extev_polls': 'false' }

const CHECK = join(import.meta.dir, '..', '..', '..', 'scripts', 'check-test-bridge.sh')
/** A busy machine first compiles the tests. */
const DEADLINE_MS = 300_000

// A machine that built the bridge has Go.
test.skipIf(!testBridge)(
  'the test bridge passes its own checks',
  async () => {
    const check = Bun.spawn(['sh', CHECK], { stdio: ['ignore', 'pipe', 'pipe'] })
    const output = `${await check.stdout.text()}${await check.stderr.text()}`
    expect(await check.exited, output).toBe(0)
  },
  DEADLINE_MS,
)

describe.skipIf(!testBridge)('the test bridge plays', () => {
  const current = useScene({}, PLAYED)
  describe('hidden ids', () => hiddenIdCases(current))
  describe('logins', () => loginCases(current))
  describe('conversations', () => conversationCases(current))
  describe('notices', () => noticeCases(current))
  describe('room features', () => featureCases(current))
  describe('groups', () => groupCases(current))
  describe('states', () => stateCases(current))
})

describe.skipIf(!testBridge)('the test bridge with backfill plays', () => {
  describe('history', () => historyCases(useScene({}, HISTORY)))
})

describe.skipIf(!testBridge)('the test bridge with other settings plays', () => {
  describe('the same otherwise', () => settingCases(useScene({ [ALL_FIELDS]: false }, SETTINGS)))
})

/** Opens a scene for all cases of the block, with the parameters of `openScene`. */
function useScene(features: Features, settings: Record<string, string>): SceneOf {
  let scene: Scene | undefined

  beforeAll(async () => {
    scene = await openScene(features, settings)
  })

  afterAll(async () => scene?.[Symbol.asyncDispose]())

  return () => {
    if (!scene) throw new Error('the deployment did not start')
    return scene
  }
}
