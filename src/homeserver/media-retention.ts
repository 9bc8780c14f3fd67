/**
 * Forgets media that is old. What profiles and rooms show of themselves now (avatars) stays, however old; a message's file goes, and the
 * message then points at nothing, as with any homeserver that keeps media for a time.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { yieldToEventLoop } from '../lib/turn-budget.ts'
import type { Core } from './core.ts'

/** Rows looked at in one go: a few milliseconds. */
const STEP = 500

/** @param before in milliseconds since the epoch. @returns how many files were removed */
export async function forgetMedia(core: Core, before: number): Promise<number> {
  const first = core.media.olderThan(before, null, 1)
  if (first.length === 0) return 0
  const shown = await mediaShown(core)
  let removed = 0
  for (let after: { created_at: number; media_id: string } | null = null; ; ) {
    const rows = core.media.olderThan(before, after, STEP)
    const old = rows.map(({ media_id: id }) => id).filter(id => !shown.has(id))
    await core.commit(tx => {
      tx.wrote = true
      for (const id of old) core.media.remove(id)
    })
    // After the commit: a file without a row is found at the next start.
    for (const id of old) await rm(join(core.mediaDir, id), { force: true })
    removed += old.length
    const last = rows.at(-1)
    if (!last || rows.length < STEP) return removed
    after = last
  }
}

/** Ids of the media that profiles and the rooms' state name. */
async function mediaShown(core: Core): Promise<Set<string>> {
  const shown = new Set<string>()
  const uri = new RegExp(`mxc://${RegExp.escape(core.serverName)}/([A-Za-z0-9_-]+)`, 'g')
  const note = (text: string | null) => {
    for (const [, id = ''] of text?.matchAll(uri) ?? []) shown.add(id)
  }
  for (let after = ''; ; await yieldToEventLoop()) {
    const users = core.media.avatars(after, STEP)
    for (const { avatar_url: url } of users) note(url)
    if (users.length < STEP) break
    after = users.at(-1)?.user_id ?? ''
  }
  for (let after = { room: 0, type: '', state_key: '' }; ; await yieldToEventLoop()) {
    const states = core.media.states(after, STEP)
    for (const { content } of states) note(content)
    const last = states.at(-1)
    if (!last || states.length < STEP) return shown
    after = last
  }
}
