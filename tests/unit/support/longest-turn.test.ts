/** The measure of turns itself: one long turn is seen, as many short ones aren't. */
import { expect, test } from 'bun:test'
import { expectShortTurns, longestTurn } from '../../support/longest-turn.ts'

test('a turn that holds the event loop is seen', async () => {
  const longestMs = await longestTurn(() => hold(120))
  expect(longestMs).toBeGreaterThanOrEqual(115)
  expect(longestMs).toBeLessThan(400)
  await expect(expectShortTurns(() => hold(120))).rejects.toThrow('longest turn')
})

test('microtasks are one turn, however many they are', async () => {
  const longestMs = await longestTurn(async () => {
    for (let piece = 0; piece < 12; piece++) await hold(10)
  })
  expect(longestMs).toBeGreaterThanOrEqual(100)
})

test('work in pieces lets others have their turn', async () => {
  await expectShortTurns(async () => {
    for (let piece = 0; piece < 12; piece++) {
      await hold(10)
      await Bun.sleep(0)
    }
  })
})

/** Keeps the processor busy, however busy others keep it. */
async function hold(ms: number): Promise<void> {
  const usedMs = () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1_000
  }
  const until = usedMs() + ms
  while (usedMs() < until);
}
