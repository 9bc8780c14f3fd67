/**
 * Reads com.beeper.room_features, the state in which bridgev2 gives the features of a chat's
 * network (mautrix-go, event/capabilities.go).
 */
import { z } from 'zod'
import type { FileFeatures, FileKind, RoomFeatures, SettingsFeatures } from '../domain/room-features.ts'

export const ROOM_FEATURES_TYPE = 'com.beeper.room_features'

/** The kinds of file as the state names them. */
const FILE_KEYS: Readonly<Record<FileKind, string>> = {
  image: 'm.image',
  video: 'm.video',
  audio: 'm.audio',
  voice: 'org.matrix.msc3245.voice',
  sticker: 'm.sticker',
  gif: 'fi.mau.gif',
  file: 'm.file',
}

const level = z.number().catch(0).default(0)
const statedLevel = z.number().optional().catch(undefined)
/** Go leaves a zero out, which here means that there is no limit. */
const limit = z
  .number()
  .positive()
  .nullish()
  .catch(null)
  .transform(value => value ?? null)
const fileFeatures = z
  .object({
    mime_types: z.record(z.string(), z.number()).catch({}).default({}),
    caption: level,
    max_caption_length: limit,
    max_size: limit,
    /** In seconds. */
    max_duration: limit,
    max_width: limit,
    max_height: limit,
  })
  .nullish()
  .catch(null)
const roomFeatures = z.object({
  id: z.string().optional().catch(undefined),
  file: z.record(z.string(), fileFeatures).nullish().catch(null),
  max_text_length: limit,
  formatting: z.record(z.string(), level).nullish().catch(null),
  location_message: level,
  poll: level,
  poll_max_options: limit,
  poll_option_max_length: limit,
  reply: level,
  edit: statedLevel,
  edit_max_age: limit,
  edit_max_count: limit,
  delete: statedLevel,
  delete_max_age: limit,
  reaction: statedLevel,
  reaction_count: limit,
  allowed_reactions: z.array(z.string()).nullish().catch(null),
  state: z.record(z.string(), z.object({ level })).nullish().catch(null),
  member_actions: z.record(z.string(), z.number()).nullish().catch(null),
  disappearing_timer: z
    .object({ types: z.array(z.string()).nullish(), timers: z.array(z.number()).nullish() })
    .nullish()
    .catch(null),
  block_user: z.boolean().catch(false).default(false),
})

/** @param content of the state event; what of it isn't as it should be says nothing */
export function readRoomFeatures(content: Readonly<Record<string, unknown>>): RoomFeatures {
  const parsed = roomFeatures.safeParse(content)
  const { id, file, ...told } = parsed.success ? parsed.data : roomFeatures.parse({})
  // Go leaves an empty list and a zero out, too: a state that has its name lists all there is.
  const isComplete = id !== undefined
  const listed = file ?? (isComplete ? {} : null)
  return {
    files: listed && filesOf(listed),
    maxTextLength: told.max_text_length,
    mentions: told.formatting || isComplete ? (told.formatting?.user_link ?? 0) : null,
    location: told.location_message,
    poll: isComplete || told.poll !== 0 ? told.poll : null,
    maxPollOptions: told.poll_max_options,
    maxPollOptionLength: told.poll_option_max_length,
    reply: told.reply,
    ...featuresOfActs(told, isComplete),
    ...(isComplete && { settings: settingsOf(told) }),
  }
}

function featuresOfActs(told: z.infer<typeof roomFeatures>, isComplete: boolean) {
  const levelOf = (stated: number | undefined) => stated ?? (isComplete ? 0 : null)
  const inMs = (seconds: number | null) => (seconds === null ? null : seconds * 1_000)
  return {
    edit: levelOf(told.edit),
    editMaxAgeMs: inMs(told.edit_max_age),
    editMaxCount: told.edit_max_count,
    delete: levelOf(told.delete),
    deleteMaxAgeMs: inMs(told.delete_max_age),
    reaction: levelOf(told.reaction),
    reactionCount: told.reaction_count,
    allowedReactions: told.allowed_reactions?.length ? told.allowed_reactions : null,
  }
}

function settingsOf(told: z.infer<typeof roomFeatures>): SettingsFeatures {
  const { state, member_actions: memberActions, disappearing_timer: timer, block_user: blocks } = told
  return {
    state: Object.fromEntries(Object.entries(state ?? {}).map(([type, stated]) => [type, stated.level])),
    memberActions: memberActions ?? {},
    timersMs: timer?.timers ?? null,
    timerType: timer?.types?.[0] ?? 'after_send',
    blocks,
  }
}

function filesOf(listed: Readonly<Record<string, z.infer<typeof fileFeatures>>>): RoomFeatures['files'] {
  const files: Partial<Record<FileKind, FileFeatures>> = {}
  for (const [kind, key] of Object.entries(FILE_KEYS) as [FileKind, string][]) {
    const told = listed[key]
    if (!told) continue
    files[kind] = {
      mimeTypes: told.mime_types,
      caption: told.caption,
      maxCaptionLength: told.max_caption_length,
      maxSizeBytes: told.max_size,
      maxDurationMs: told.max_duration === null ? null : told.max_duration * 1000,
      maxWidth: told.max_width,
      maxHeight: told.max_height,
    }
  }
  return files
}
