/** How long a gateway's event loop was blocked, by its own histogram. */
import { samplesOf } from './metrics.ts'
import { waitFor } from './wait-for.ts'

const METRIC = 'meshgate_event_loop_lag_seconds'
/** Enough samples to include a turn that began with `act`. */
const MIN_SAMPLES = 4

/**
 * @param url of a gateway that shows its metrics to everybody on this machine
 * @returns upper bound in seconds of the histogram bucket with the longest lag while `act` ran
 */
export async function longestLag(url: string, act: () => Promise<unknown>): Promise<number> {
  const before = await read(url)
  await act()
  const after = await waitFor(async () => {
    const now = await read(url)
    return now.count - before.count >= MIN_SAMPLES && now
  })
  const grown = after.buckets.map(({ upTo, count }, index) => ({
    upTo,
    more: count - (before.buckets[index]?.count ?? 0),
  }))
  return grown.find(({ more }) => more === after.count - before.count)?.upTo ?? Infinity
}

async function read(url: string) {
  const response = await fetch(`${url}/metrics`, { tls: { rejectUnauthorized: false } })
  const text = await response.text()
  const buckets = [...text.matchAll(new RegExp(`^${METRIC}_bucket\\{le="(.+)"\\} (\\d+)$`, 'gm'))].map(
    ([, upTo, count]) => ({ upTo: upTo === '+Inf' ? Infinity : Number(upTo), count: Number(count) }),
  )
  return { buckets, count: samplesOf(text).value(`${METRIC}_count`) ?? 0 }
}
