/**
 * Bodies of deliveries under way. All webhooks that get an event get the same body, so it is made
 * once and held as long as one of them needs it. The bytes of files in all of them are limited.
 */
import type { InboxEvent } from '../../db/schema/index.ts'
import type { WebhookBody } from '../../webhooks/client.ts'
import type { Payloads } from '../events/feed-types.ts'
import type { PayloadRoom } from './payload-room.ts'

export interface SharedBodiesOptions {
  payloads: Payloads
  /** For the files that stand in bodies; shared out among identities. */
  room: Pick<PayloadRoom, 'take'>
}

/** Holds its body until it is disposed of. */
export interface HeldBody extends Disposable {
  body: WebhookBody
}

interface Shared {
  body: Promise<WebhookBody>
  holders: number
  leaveRoom(): void
}

export class SharedBodies {
  private readonly underWay = new Map<string, Shared>()

  constructor(private readonly options: SharedBodiesOptions) {}

  /**
   * @param withMedia false: only a file's address is sent
   * @returns rejects when something goes wrong on our side, such as a file that can't be fetched
   * now; with NoRoom when the memory for it is taken
   */
  async take(event: InboxEvent, withMedia: boolean): Promise<HeldBody> {
    const key = `${event.identityId} ${event.eventId} ${withMedia}`
    const shared = this.underWay.get(key) ?? this.begin(key, event, withMedia)
    shared.holders++
    const giveBack = () => this.giveBack(key, shared)
    try {
      return { body: await shared.body, [Symbol.dispose]: giveBack }
    } catch (error) {
      giveBack()
      throw error
    }
  }

  private begin(key: string, event: InboxEvent, withMedia: boolean): Shared {
    const shared: Shared = {
      body: this.make(event, withMedia, leave => (shared.leaveRoom = leave)),
      holders: 0,
      leaveRoom() {},
    }
    this.underWay.set(key, shared)
    return shared
  }

  private async make(
    event: InboxEvent,
    withMedia: boolean,
    onRoom: (leave: () => void) => void,
  ): Promise<WebhookBody> {
    let hasFile = false
    const payload = await this.options.payloads.of(event, async fileBytes => {
      if (!withMedia) return false
      onRoom(await this.options.room.take(event.identityId, fileBytes))
      hasFile = true
      return true
    })
    const bytes = Buffer.from(JSON.stringify(payload))
    // Every request sends the same bytes of a Blob; of any other body each holds a copy of its own,
    // for as long as the endpoint takes.
    return { bytes, sent: hasFile ? new Blob([bytes]) : bytes }
  }

  private giveBack(key: string, shared: Shared): void {
    shared.holders--
    if (shared.holders > 0) return
    this.underWay.delete(key)
    shared.leaveRoom()
  }
}
