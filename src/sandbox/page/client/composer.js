/** Writes messages: text, a file, a reply, an edit. */

import { sizeOf, summary } from './parts.js'
import { html, useRef, useState } from './preact.js'

/** While somebody types, others are told so again after this time, in milliseconds. */
const TYPING_AGAIN_MS = 8_000
const FILE_TYPES = ['image', 'video', 'gif', 'audio', 'voice', 'file', 'sticker']

export function Composer({ phone, draft, setDraft, onSend, onTyping, onOther }) {
  const [sending, setSending] = useState(false)
  const fileInput = useRef(null)
  const toldAt = useRef(0)
  const { text, file, fileType = '', reply, edit } = draft
  const empty = text.trim() === '' && !file

  async function send(event) {
    event?.preventDefault()
    if (sending || empty) return
    setSending(true)
    const sent = await onSend(messageOf(draft))
    setSending(false)
    if (sent) setDraft({ text: '', file: null, reply: null, edit: null })
    toldAt.current = 0
  }

  function type(typed) {
    setDraft({ ...draft, text: typed })
    if (typed !== '' && Date.now() - toldAt.current < TYPING_AGAIN_MS) return
    toldAt.current = typed === '' ? 0 : Date.now()
    onTyping(typed !== '')
  }

  function onKeyDown(event) {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) void send(event)
    if (event.key === 'Escape') setDraft({ ...draft, file: null, reply: null, edit: null })
  }

  const about = edit ?? reply
  return html`<form
    class="composer"
    onSubmit=${send}
    onDragOver=${event => event.preventDefault()}
    onDrop=${event => {
      event.preventDefault()
      const [dropped] = event.dataTransfer.files
      if (dropped) setDraft({ ...draft, file: dropped })
    }}
  >
    ${
      about &&
      html`<div class="chip">
        <span><strong>${edit ? 'Edit' : `Reply to ${about.from_name}`}</strong> ${summary(about)}</span>
        <button type="button" aria-label="Not any more" onClick=${() => setDraft({ ...draft, reply: null, edit: null })}>×</button>
      </div>`
    }
    ${
      file &&
      html`<div class="chip">
        <span><strong>${file.name}</strong> ${sizeOf(file.size)}</span>
        <select aria-label="Sent as" value=${fileType} onChange=${event => setDraft({ ...draft, fileType: event.currentTarget.value })}>
          <option value="">as it is</option>
          ${FILE_TYPES.map(name => html`<option value=${name}>as ${name}</option>`)}
        </select>
        <button type="button" aria-label="Without the file" onClick=${() => setDraft({ ...draft, file: null })}>×</button>
      </div>`
    }
    <div class="composer-row">
      <input
        type="file"
        hidden
        ref=${fileInput}
        onChange=${event => {
          setDraft({ ...draft, file: event.currentTarget.files[0] ?? null })
          event.currentTarget.value = ''
        }}
      />
      <button type="button" class="round" title="Attach a file" aria-label="Attach a file" onClick=${() => fileInput.current.click()}>
        +
      </button>
      <button type="button" class="round" title="Something else" aria-label="Something else" onClick=${onOther}>…</button>
      <textarea
        rows="1"
        placeholder=${`Message as ${phone.name}`}
        aria-label="Message"
        value=${text}
        onInput=${event => type(event.currentTarget.value)}
        onKeyDown=${onKeyDown}
      ></textarea>
      <button type="submit" class="primary" disabled=${sending || empty}>Send</button>
    </div>
  </form>`
}

/** Body for the interface: a form when there is a file. */
function messageOf({ text, file, fileType, reply, edit }) {
  if (edit) return { edit: edit.id, text }
  if (!file) return { text, ...(reply ? { reply_to: reply.id } : {}) }
  const form = new FormData()
  if (text.trim() !== '') form.append('text', text)
  if (reply) form.append('reply_to', reply.id)
  if (fileType) form.append('type', fileType)
  form.append('file', file)
  return form
}
