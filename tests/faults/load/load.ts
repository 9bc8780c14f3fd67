/** Runs all chats of a phase at once, each at its own pace. */
import { type Phase, pause, steadily } from '../phase.ts'
import { ActLoad } from './acts.ts'
import { type IncomingChat, IncomingLoad } from './incoming.ts'
import { type OutgoingChat, OutgoingLoad } from './outgoing.ts'

export interface People {
  outgoing: OutgoingChat[]
  incoming: IncomingChat[]
  /** Chats in which messages are acted on. */
  acting?: readonly OutgoingChat[]
  /** A new person for a device to speak to. Rejects while the gateway is gone. */
  newcomer?(): Promise<{ outgoing: OutgoingChat; incoming: IncomingChat }>
}

export interface Load {
  outgoing: OutgoingLoad[]
  incoming: IncomingLoad[]
  acts: ActLoad[]
  /** Pauses phones, with `all` also clients, until the result is called. Open sends go on. */
  hold(all?: 'all'): () => void
  stop(): Promise<void>
}

/** Pause between two messages of a chat, in milliseconds. */
const PACE = [150, 1_200] as const
const NEWCOMER_PACE = [2_000, 5_000] as const
const HELD_LOOK_MS = 50

export function startLoad(people: People, { random }: Pick<Phase, 'random'>): Load {
  const chance = random.fork('load')
  const paces = chance.fork('pace')
  const outgoing = people.outgoing.map(chat => new OutgoingLoad(chat, chance.fork(chat.key)))
  const incoming = people.incoming.map(chat => new IncomingLoad(chat, chance.fork(chat.key)))
  const acts = (people.acting ?? []).map(chat => new ActLoad(chat, chance.fork(`${chat.key}@`)))
  const ending = new AbortController()
  const { signal } = ending
  let held: 'nobody' | 'phones' | 'all' = 'nobody'

  type Pace = readonly [number, number]
  const steady = (name: string, pace: Pace, isHeld: () => boolean, work: () => Promise<unknown>) =>
    steadily(signal, paces.fork(name), pace, async () => {
      while (isHeld() && !signal.aborted) await pause(HELD_LOOK_MS, signal)
      if (!signal.aborted) await work()
    })
  const clients = () => held === 'all'
  const phones = () => held !== 'nobody'

  async function beginChats(): Promise<void> {
    const chats = await people.newcomer?.().catch(() => null)
    if (!chats) return
    const theirs = new OutgoingLoad(chats.outgoing, chance.fork(chats.outgoing.key))
    const ours = new IncomingLoad(chats.incoming, chance.fork(chats.incoming.key))
    outgoing.push(theirs)
    incoming.push(ours)
    await Promise.all([theirs.sendNext(signal), ours.sendNext()])
  }

  const running = [
    ...outgoing.map(load => steady(load.chat.key, PACE, clients, () => load.sendNext(signal))),
    ...incoming.map(load => steady(load.chat.key, PACE, phones, () => load.sendNext())),
    ...acts.map((load, index) => steady(`acts ${index}`, PACE, clients, () => load.actNext(signal))),
    ...(people.newcomer ? [steady('newcomers', NEWCOMER_PACE, phones, beginChats)] : []),
  ]
  return {
    outgoing,
    incoming,
    acts,
    hold(all) {
      held = all ?? 'phones'
      return () => {
        held = 'nobody'
      }
    },
    async stop() {
      ending.abort()
      await Promise.all(running)
    },
  }
}
