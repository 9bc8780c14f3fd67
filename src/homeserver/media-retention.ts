/**
 * Forgets old media. It stays while a profile, a room's current state or a kept event names it: a
 * young event, or one an appservice hasn't acknowledged. Older events may then name missing media,
 * as on any homeserver that keeps media for a time.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TurnBudget, yieldToEventLoop } from '../lib/turn-budget.ts'
import type { Core } from './core.ts'
import { agedAt, toldEvents } from './retention.ts'

/** Rows per step: a few milliseconds. */
const STEP = 200

/**
 * @param before in milliseconds since the epoch
 * @param signal ends it early
 * @returns how many files were removed
 */
export async function forgetMedia(core: Core, before: number, signal: AbortSignal): Promise<number> {
  if (core.media.olderThan(before, null, 1).length === 0) return 0
  const named = new NamedMedia(core, before)
  await named.readAll(signal)
  let removed = 0
  for (let after: { created_at: number; media_id: string } | null = null; !signal.aborted; ) {
    const rows = core.media.olderThan(before, after, STEP)
    await named.readEvents(signal)
    const old = await core.commit(tx => {
      tx.wrote = true
      // Includes events of this very moment, which may name an old file again.
      while (named.readNewEvents());
      const ids = rows.map(({ media_id: id }) => id).filter(id => !named.ids.has(id))
      for (const id of ids) core.media.remove(id)
      return ids
    })
    // After the commit: the next start removes a file without a row.
    for (const id of old) await rm(join(core.mediaDir, id), { force: true })
    removed += old.length
    after = rows.at(-1) ?? null
    if (rows.length < STEP) break
  }
  return removed
}

/** Ids of the media that must stay. */
class NamedMedia {
  readonly ids = new Set<string>()
  /** Events up to this position were read. */
  private position = 0
  private readonly uri: RegExp
  private readonly isTold

  constructor(
    private readonly core: Core,
    private readonly before: number,
  ) {
    this.uri = new RegExp(`mxc://${RegExp.escape(core.serverName)}/([A-Za-z0-9_-]+)`, 'g')
    this.isTold = toldEvents(core)
  }

  async readAll(signal: AbortSignal): Promise<void> {
    await this.readAvatars(signal)
    await this.readState(signal)
    await this.readEvents(signal)
  }

  private async readAvatars(signal: AbortSignal): Promise<void> {
    for (let after = ''; !signal.aborted; await yieldToEventLoop()) {
      const users = this.core.media.avatars(after, STEP)
      for (const { avatar_url: url } of users) this.note(url)
      if (users.length < STEP) return
      after = users.at(-1)?.user_id ?? ''
    }
  }

  private async readState(signal: AbortSignal): Promise<void> {
    for (let after = { room: 0, type: '', state_key: '' }; !signal.aborted; await yieldToEventLoop()) {
      const states = this.core.media.states(after, STEP)
      for (const { content } of states) this.note(content)
      const last = states.at(-1)
      if (!last || states.length < STEP) return
      after = last
    }
  }

  async readEvents(signal: AbortSignal): Promise<void> {
    const turn = new TurnBudget()
    while (!signal.aborted && this.readNewEvents()) await turn.pause()
  }

  /** Reads some unread events. @returns true when there may be more */
  readNewEvents(): boolean {
    const rows = this.core.events.naming(this.position, STEP)
    for (const row of rows)
      if (row.content !== null && (agedAt(row) >= this.before || !this.isTold(row))) this.note(row.content)
    this.position = rows.at(-1)?.stream_id ?? this.position
    return rows.length === STEP
  }

  private note(text: string | null): void {
    for (const [, id = ''] of text?.matchAll(this.uri) ?? []) this.ids.add(id)
  }
}
