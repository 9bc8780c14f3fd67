/** Long tasks side by side. */
import { expect, test } from 'bun:test'
import { TurnBudget, yieldToEventLoop } from '../../../src/lib/turn-budget.ts'
import { expectShortTurns } from '../../support/longest-turn.ts'

const WORKS = 100

test('however many there are, together they leave others as much as one does, and each gets on', async () => {
  const done: number[] = []
  const work = async (turn: TurnBudget, index: number) => {
    for (let step = 0; step < 3; step++) {
      await turn.pause()
      while (!turn.isSpent);
    }
    done.push(index)
  }
  await expectShortTurns(
    async () => {
      const turns = Array.from({ length: WORKS }, () => new TurnBudget())
      while (!turns.every(turn => turn.isSpent)) await yieldToEventLoop()
      await Promise.all(turns.map(work))
    },
    { rounds: 1 },
  )
  expect(done).toEqual(Array.from({ length: WORKS }, (_, index) => index))
})
