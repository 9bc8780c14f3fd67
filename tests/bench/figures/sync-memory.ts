/** Figure 4 on /sync: memory of each idle identity with its own long poll at a real Synapse. */
import { portalDeployment } from '../../support/portal-deployment.ts'
import { hasSynapse } from '../../support/synapse.ts'
import { waitFor } from '../../support/wait-for.ts'
import { type Bench, type Figure, KIB, Malfunction, mib, type Row } from '../figure.ts'
import { settledResidentBytes } from '../usage.ts'

const MOST_PER_IDENTITY_BYTES = 60 * KIB
/** Made before the first measurement, as in idle-memory.ts. */
const EARLIER = 200
const AT_ONCE = 4
const FIGURE = '4 the same on /sync'

export const syncMemory: Figure = { number: 4, title: 'idle memory on /sync', run }

async function run({ program, quick, tell }: Bench): Promise<Row[]> {
  if (!hasSynapse) {
    tell('left out: Synapse is not there; `make e2e-tools` installs it')
    return [{ figure: FIGURE, measured: '-', limit: '< 60 KiB', met: null }]
  }
  const settleMs = quick ? 2_000 : 15_000
  await using deployment = await portalDeployment({ source: 'sync', command: program.command })
  const pid = () => deployment.gateway().pid

  const add = async (count: number) => {
    const indexes = Array.from({ length: count }).keys()
    const worker = async () => {
      for (const _ of indexes) {
        const account = await deployment.client.account()
        // The gateway leaves a bridge alone that has only just started.
        await waitFor(async () => (await account.devices())[0]?.state === 'connected', {
          what: 'the device',
        })
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    await waitFor(async () => (await deployment.homeserverState()) === 'ok', {
      what: 'every /sync to work',
      deadlineMs: 60_000,
    })
  }
  const count = quick ? 100 : 1_000
  await add(EARLIER)
  const before = await settledResidentBytes(pid(), settleMs)
  await add(count)
  const after = await settledResidentBytes(pid(), settleMs)
  tell(`with ${EARLIER} identities ${mib(before)}, with ${EARLIER + count} ${mib(after)}`)
  if ((await deployment.gateway().stop()) !== 0) throw new Malfunction('it did not stop as asked')

  const perIdentity = (after - before) / count
  return [
    {
      figure: `${FIGURE}, of ${count}`,
      measured: `${(perIdentity / KIB).toFixed(1)} KiB`,
      limit: '< 60 KiB',
      met: perIdentity < MOST_PER_IDENTITY_BYTES,
    },
  ]
}
