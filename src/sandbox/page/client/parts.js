/** Small parts shared by the whole page. */
import { html } from './preact.js'

export const PLATFORM_NAMES = { wa: 'WhatsApp', signal: 'Signal', telegram: 'Telegram' }

export function Avatar({ name, group }) {
  const letters = name
    .split(/\s+/)
    .map(word => word[0])
    .filter(Boolean)
    .slice(0, 2)
    .join('')
  const hue = [...name].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 8, 0)
  return html`<span class="avatar hue-${hue} ${group ? 'group' : ''}" aria-hidden="true">${letters}</span>`
}

export function Badge({ platform, title }) {
  return html`<span class="badge ${platform}" title=${title ?? PLATFORM_NAMES[platform]}>
    ${PLATFORM_NAMES[platform] ?? platform}
  </span>`
}

export function Empty({ title, children }) {
  return html`<div class="empty"><div class="empty-art" aria-hidden="true"></div><h2>${title}</h2>${children}</div>`
}

/** A command to copy. */
export function Command({ text }) {
  const copy = event => {
    const button = event.currentTarget
    navigator.clipboard.writeText(text).then(() => {
      button.textContent = 'Copied'
      setTimeout(() => {
        button.textContent = 'Copy'
      }, 1500)
    })
  }
  return html`<div class="command">
    <pre tabindex="0">${text}</pre>
    <button type="button" onClick=${copy}>Copy</button>
  </div>`
}

export function timeOf(timestamp) {
  return new Date(timestamp).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
}

export function dayOf(timestamp) {
  const date = new Date(timestamp)
  const days = Math.round(
    (new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000,
  )
  if (days === 0) return 'Today'
  if (days === 1) return 'Yesterday'
  return date.toLocaleDateString([], { day: 'numeric', month: 'long', year: 'numeric' })
}

const KIND_WORDS = {
  image: 'Photo',
  gif: 'GIF',
  video: 'Video',
  audio: 'Audio',
  voice: 'Voice message',
  file: 'File',
  sticker: 'Sticker',
  location: 'Location',
}

/** Describes a message in one line. */
export function summary(message) {
  if (!message) return 'A message that is not here'
  if (message.deleted || message.type === 'delete') return 'Deleted message'
  if (message.type === 'reaction') return `Reacted ${message.reaction?.emoji || 'no more'}`
  if (message.type === 'vote') return `Voted ${message.vote?.options.join(', ') || 'for nothing'}`
  if (message.poll) return `Poll: ${message.poll.question}`
  if (message.type === 'edit') return `Edited: ${message.text}`
  if (message.text) return message.text
  return message.file
    ? `${KIND_WORDS[message.type] ?? 'File'}: ${message.file.name}`
    : (KIND_WORDS[message.type] ?? '')
}

export function sizeOf(bytes) {
  if (bytes < 1024) return `${bytes} B`
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(0)} kB`
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`
}
