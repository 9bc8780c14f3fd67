/** Writes messages: text, a file, a location, a reply, an edit. */

import { sizeOf, summary } from './parts.js'
import { html, useRef, useState } from './preact.js'

export function Composer({ phone, draft, setDraft, onSend }) {
  const [sending, setSending] = useState(false)
  const fileInput = useRef(null)
  const { text, file, reply, edit } = draft
  const empty = text.trim() === '' && !file

  async function send(event) {
    event?.preventDefault()
    if (sending || empty) return
    setSending(true)
    const sent = await onSend(messageOf(draft))
    setSending(false)
    if (sent) setDraft({ text: '', file: null, reply: null, edit: null })
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
      <textarea
        rows="1"
        placeholder=${`Message as ${phone.name}`}
        aria-label="Message"
        value=${text}
        onInput=${event => setDraft({ ...draft, text: event.currentTarget.value })}
        onKeyDown=${onKeyDown}
      ></textarea>
      <button type="submit" class="primary" disabled=${sending || empty}>Send</button>
    </div>
  </form>`
}

/** Body for the interface: a form when there is a file. */
function messageOf({ text, file, reply, edit }) {
  if (edit) return { edit: edit.id, text }
  if (!file) return { text, ...(reply ? { reply_to: reply.id } : {}) }
  const form = new FormData()
  if (text.trim() !== '') form.append('text', text)
  if (reply) form.append('reply_to', reply.id)
  form.append('file', file)
  return form
}
