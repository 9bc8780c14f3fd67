/** docs/limits.md has the numbers that the document and the settings have. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnvironment } from '../../../src/config/index.ts'
import { MAX_TEXT_BYTES } from '../../../src/domain/limits.ts'
import { MAX_KEY_LENGTH } from '../../../src/http/plugins/idempotency.ts'
import { MAX_FILES } from '../../../src/http/uploads/multipart.ts'

const textOf = (name: string) => readFileSync(join(import.meta.dir, '..', '..', '..', name), 'utf8')
const LIMITS = textOf('docs/limits.md').replaceAll(/\s+/g, ' ')
const { schemas } = JSON.parse(textOf('openapi.json')).components as {
  schemas: Record<string, { properties: Record<string, Limited> }>
}
const SETTINGS = parseEnvironment({
  CLIENT_ID: 'admin',
  CLIENT_SECRET: 'long-enough',
  SECRET_KEY: 'sixteen-characters',
})

interface Limited {
  minItems?: number
  maxItems?: number
  maxLength?: number
  maximum?: number
}

/** @returns NaN where the field has no such limit */
function limitOf(schema: string, field: string, kind: keyof Limited): string {
  return written(schemas[schema]?.properties[field]?.[kind] ?? Number.NaN)
}

const written = (value: number) => value.toLocaleString('en-US')
const mebibytes = (bytes: number) => `${bytes / 1024 ** 2} MiB`
const days = (seconds: number) => seconds / 86_400

test.each([
  `A text has ${written(MAX_TEXT_BYTES)} bytes as JSON`,
  `At most ${limitOf('SendMessage', 'mentions', 'maxItems')} \`mentions\``,
  `\`expires_in\` reach ${days(schemas.SendMessage?.properties.expires_in?.maximum ?? 0)} days`,
  `A poll has ${limitOf('NewPoll', 'options', 'minItems')} to ${limitOf('NewPoll', 'options', 'maxItems')} options`,
  `up to ${limitOf('ContactCard', 'phones', 'maxItems')} \`phones\` and ${limitOf('ContactCard', 'emails', 'maxItems')} \`emails\``,
  `the name of a place or contact card have ${limitOf('Location', 'name', 'maxLength')} characters`,
  `A vote has up to ${limitOf('PollVote', 'options', 'maxItems')} options`,
  `with up to ${limitOf('NewGroup', 'participants', 'maxItems')} participants`,
  `changes up to ${limitOf('MembersChange', 'add', 'maxItems')} in each of`,
  `A name has ${limitOf('ChatChange', 'name', 'maxLength')} characters, a topic ${limitOf('ChatChange', 'topic', 'maxLength')}`,
  `until \`limit\` messages have come: up to ${limitOf('Backfill', 'limit', 'maximum')}`,
  `${limitOf('WebhookFilters', 'devices', 'maxItems')} values in each list of \`filters\``,
  `A \`file_url\` has at most ${limitOf('SendMessage', 'file_url', 'maxLength')} characters`,
  `A send may have ${MAX_FILES} files`,
  `A key has up to ${MAX_KEY_LENGTH} printable ASCII characters`,
])('%s', sentence => expect(LIMITS).toContain(sentence))

test.each([
  `A device sends ${SETTINGS.SEND_BURST} messages at once`,
  `At most ${written(SETTINGS.QUEUE_MAX_PER_IDENTITY)} messages of an account`,
  `A file may have ${mebibytes(SETTINGS.MEDIA_MAX_BYTES)} (\`MEDIA_MAX_BYTES\`)`,
  `may take ${SETTINGS.MEDIA_QUOTA_PER_IDENTITY / 1024 ** 3} GiB of the disk`,
  `files of up to ${mebibytes(SETTINGS.MEDIA_INLINE_MAX_BYTES)} in the payload`,
  `${written(SETTINGS.IDEMPOTENCY_KEYS_MAX)} keys at most`,
  `may have ${SETTINGS.WEBHOOKS_MAX} webhooks`,
  `Messages, events and deliveries: ${SETTINGS.RETENTION_DAYS} days`,
  `Files of messages: ${SETTINGS.MEDIA_RETENTION_DAYS} days`,
])('%s, by default', sentence => expect(LIMITS).toContain(sentence))
