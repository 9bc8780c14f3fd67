/** Figure 4: memory and processor of the idle program, and memory of each idle identity. */
import { type Bench, type Figure, KIB, Malfunction, MIB, mib, type Row } from '../figure.ts'
import { createToken, linkDevice, startGateway } from '../gateway.ts'
import { processorUs, settledResidentBytes } from '../usage.ts'

const MOST_IDLE_BYTES = 120 * MIB
const MOST_PER_IDENTITY_BYTES = 20 * KIB
/** Identities made before the first measurement, so that memory of the code isn't counted. */
const EARLIER = 200
const AT_ONCE = 8
/** Identities with which the idle program's processor time is taken. */
const SERVED = [1, 100]
const MOST_PROCESSOR_SHARE = 0.004

export const idle: Figure = { number: 4, title: 'idle memory and processor', run }

async function run({ program, quick, tell }: Bench): Promise<Row[]> {
  const settleMs = quick ? 2_000 : 15_000
  await using gateway = await startGateway(program)
  const resident = await settledResidentBytes(gateway.pid, settleMs)
  tell(`idle after the start: ${mib(resident)}`)

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
  const shares: number[] = []
  let added = 0
  for (const served of SERVED) {
    await add(added, served - added)
    added = served
    shares.push(await processorShare(gateway.pid, settleMs, quick ? 10_000 : 60_000))
  }
  await add(added, EARLIER - added)
  const before = await settledResidentBytes(gateway.pid, settleMs)
  await add(EARLIER, count)
  const after = await settledResidentBytes(gateway.pid, settleMs)
  tell(`with ${EARLIER} identities ${mib(before)}, with ${EARLIER + count} ${mib(after)}`)
  if ((await gateway.stop()) !== 0) throw new Malfunction('it did not stop as asked')

  const perIdentity = (after - before) / count
  return [
    {
      figure: '4 resident memory, idle',
      measured: mib(resident),
      limit: '< 120 MiB',
      met: resident < MOST_IDLE_BYTES,
    },
    {
      figure: `4 for each further idle identity with a linked device, of ${count}`,
      measured: `${(perIdentity / KIB).toFixed(1)} KiB`,
      limit: '< 20 KiB',
      met: perIdentity < MOST_PER_IDENTITY_BYTES,
    },
    ...SERVED.map((served, index) => ({
      figure: `4 processor, idle with ${served} linked ${served === 1 ? 'device' : 'devices'}`,
      measured: `${((shares[index] ?? 1) * 100).toFixed(2)} % of a core`,
      limit: `<= ${MOST_PROCESSOR_SHARE * 100} %`,
      met: (shares[index] ?? 1) <= MOST_PROCESSOR_SHARE,
    })),
  ]
}

/** @returns the part of a core that the process takes over `forMs`, after it has settled */
async function processorShare(pid: number, settleMs: number, forMs: number): Promise<number> {
  await Bun.sleep(settleMs)
  const before = processorUs(pid)
  await Bun.sleep(forMs)
  return (processorUs(pid) - before) / (forMs * 1000)
}
