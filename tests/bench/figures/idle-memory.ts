/** Figure 4: memory of the idle program, and of each idle identity. */
import { type Bench, type Figure, KIB, Malfunction, MIB, mib, type Row } from '../figure.ts'
import { createToken, linkDevice, startGateway } from '../gateway.ts'
import { settledResidentBytes } from '../usage.ts'

const MOST_IDLE_BYTES = 120 * MIB
const MOST_PER_IDENTITY_BYTES = 20 * KIB
/** Identities made before the first measurement, so that memory of the code isn't counted. */
const EARLIER = 200
const AT_ONCE = 8

export const idleMemory: Figure = { number: 4, title: 'idle memory', run }

async function run({ program, quick, tell }: Bench): Promise<Row[]> {
  const settleMs = quick ? 2_000 : 15_000
  await using gateway = await startGateway(program)
  const idle = await settledResidentBytes(gateway.pid, settleMs)
  tell(`idle after the start: ${mib(idle)}`)

  const add = async (from: number, count: number) => {
    const next = Array.from({ length: count }, (_none, index) => from + index).values()
    const worker = async () => {
      for (const index of next) {
        const token = await createToken(gateway)
        await linkDevice(gateway, token, String(491_530_000_000 + index))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  }
  const count = quick ? 100 : 1_000
  await add(0, EARLIER)
  const before = await settledResidentBytes(gateway.pid, settleMs)
  await add(EARLIER, count)
  const after = await settledResidentBytes(gateway.pid, settleMs)
  tell(`with ${EARLIER} identities ${mib(before)}, with ${EARLIER + count} ${mib(after)}`)
  if ((await gateway.stop()) !== 0) throw new Malfunction('it did not stop as asked')

  const perIdentity = (after - before) / count
  return [
    {
      figure: '4 resident memory, idle',
      measured: mib(idle),
      limit: '< 120 MiB',
      met: idle < MOST_IDLE_BYTES,
    },
    {
      figure: `4 for each further idle identity with a linked device, of ${count}`,
      measured: `${(perIdentity / KIB).toFixed(1)} KiB`,
      limit: '< 20 KiB',
      met: perIdentity < MOST_PER_IDENTITY_BYTES,
    },
  ]
}
