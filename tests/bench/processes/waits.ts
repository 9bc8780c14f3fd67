/** Asks for /health repeatedly and prints the longest wait: a blocked event loop shows here. */
import { readTask } from '../child.ts'
import { HttpConnection } from '../http-connection.ts'
import { percentile } from '../statistics.ts'

export interface WaitsTask {
  url: string
  elapsedMs: number
}

export interface WaitsResult {
  longestMs: number
  p50Ms: number
}

const { url, elapsedMs } = readTask<WaitsTask>()
const connection = await HttpConnection.open(url, {})
const tookMs: number[] = []
const startedAt = performance.now()
while (performance.now() - startedAt < elapsedMs) {
  const askedAt = performance.now()
  await connection.request('GET', '/health', '')
  tookMs.push(performance.now() - askedAt)
  await Bun.sleep(1)
}
const result: WaitsResult = { longestMs: Math.max(...tookMs), p50Ms: percentile(tookMs, 50) }
console.log(JSON.stringify(result))
process.exit(0)
