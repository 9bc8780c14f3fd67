/** Dialogs: first steps, a new chat, a new phone, groups, faults. */

import { Badge, Command, PLATFORM_NAMES } from './parts.js'
import { html, useEffect, useRef, useState } from './preact.js'

export function Dialog({ title, onClose, children }) {
  const element = useRef(null)
  useEffect(() => {
    element.current?.showModal()
  }, [])
  const closeOutside = event => event.target === element.current && element.current.close()
  return html`<dialog ref=${element} onClose=${onClose} onClick=${closeOutside} aria-label=${title}>
    <div class="dialog-body">
      <header>
        <h2>${title}</h2>
        <button type="button" class="round" aria-label="Close" onClick=${() => element.current.close()}>×</button>
      </header>
      ${children}
    </div>
  </dialog>`
}

export function FirstSteps() {
  const origin = location.origin
  return html`<ol class="steps">
    <li>
      <strong>Ask for a device to be linked.</strong>
      <p>The QR code that you get contains an address like <code>${origin}/sandbox/link/…</code></p>
    </li>
    <li>
      <strong>Scan it:</strong> open that address, or link from a terminal.
      <${Command}
        text=${`curl -X POST ${origin}/sandbox/link/CODE \\\n  -H 'Content-Type: application/json' \\\n  -d '{"phone": "237123456789"}'`}
      />
    </li>
    <li>
      <strong>Send to any number</strong> of 5 to 15 digits. It appears here at once, and the phone answers
      <em> echo: …</em> unless it is told not to. Numbers that begin with 999 don't exist.
    </li>
    <li>
      <strong>Write to the linked device</strong> from here, or from a terminal.
      <${Command}
        text=${`curl -X POST ${origin}/sandbox/api/phones/1234567890/messages \\\n  -H 'Content-Type: application/json' \\\n  -d '{"to": "237123456789", "text": "Good morning"}'`}
      />
    </li>
  </ol>`
}

/** A form that shows the server's error. */
export function Form({ onSubmit, children, action }) {
  const [error, setError] = useState('')
  const submit = event => {
    event.preventDefault()
    const fields = Object.fromEntries(new FormData(event.currentTarget))
    setError('')
    Promise.resolve(onSubmit(fields)).catch(problem => setError(problem.message))
  }
  return html`<form class="stack" onSubmit=${submit}>
    ${children}
    ${error && html`<p class="error" role="alert">${error}</p>`}
    <button type="submit" class="primary">${action}</button>
  </form>`
}

function PlatformSelect({ platforms }) {
  return html`<label>Network
    <select name="platform">
      ${platforms.map(platform => html`<option value=${platform}>${PLATFORM_NAMES[platform] ?? platform}</option>`)}
    </select>
  </label>`
}

export function NewChat({ platforms, groups, onStart }) {
  return html`<${Form} action="Open chat" onSubmit=${onStart}>
    <label>Phone number, or a group's invite link
      <input name="to" required autofocus autocomplete="off" placeholder="1234567890" list="known-groups" />
    </label>
    <datalist id="known-groups">
      ${groups.map(group => html`<option value=${group.invite_link}>${group.name}</option>`)}
    </datalist>
    <${PlatformSelect} platforms=${platforms} />
    <label>First message <textarea name="text" rows="2" required placeholder="Hello!"></textarea></label>
  <//>`
}

export function NewPhone({ onSave }) {
  return html`<${Form} action="Add phone" onSubmit=${onSave}>
    <label>Number <input name="phone" required autofocus inputmode="tel" autocomplete="off" placeholder="5 to 15 digits" /></label>
    <label>Name <input name="name" autocomplete="off" placeholder="Made up if you leave it empty" /></label>
  <//>`
}

export function Groups({ platforms, groups, onCreate }) {
  return html`<ul class="cards">
      ${groups.map(
        group => html`<li key=${`${group.platform} ${group.id}`}>
          <div class="card-head"><strong>${group.name}</strong><${Badge} platform=${group.platform} /></div>
          <small>${group.members.length} members</small>
          <${Command} text=${group.invite_link} />
        </li>`,
      )}
    </ul>
    <h3>New group</h3>
    <${Form} action="Create group" onSubmit=${onCreate}>
      <label>Name <input name="name" required autocomplete="off" /></label>
      <label>Members <input name="members" autocomplete="off" placeholder="Numbers, separated by commas" /></label>
      <${PlatformSelect} platforms=${platforms} />
    <//>`
}

export function Faults({ faults, onSet, onClear }) {
  return html`<p>What is set here goes wrong on purpose, so that you can see what your program does then.</p>
    <div class="table-scroll">
      <table class="faults">
        <thead>
          <tr><th>Network</th><th>Offline</th><th>Fail next</th><th>Can be retried</th><th>Delay</th><th>No new chats</th></tr>
        </thead>
        <tbody>
          ${Object.entries(faults).map(
            ([platform, fault]) => html`<tr key=${platform}>
              <th scope="row"><${Badge} platform=${platform} /></th>
              <td>
                <input
                  type="checkbox"
                  aria-label="Offline"
                  checked=${fault.offline}
                  onChange=${event => onSet({ platform, offline: event.currentTarget.checked })}
                />
              </td>
              <td><${NumberField} label="Fail next" max="1000" value=${fault.fail_next} onChange=${fail_next => onSet({ platform, fail_next })} /></td>
              <td>
                <input
                  type="checkbox"
                  aria-label="Can be retried"
                  checked=${fault.retriable}
                  onChange=${event => onSet({ platform, retriable: event.currentTarget.checked })}
                />
              </td>
              <td>
                <${NumberField} label="Delay in milliseconds" max="60000" value=${fault.delay_ms} onChange=${delay_ms => onSet({ platform, delay_ms })} /> ms
              </td>
              <td>
                ${
                  fault.restricted_until !== undefined &&
                  html`<input
                  type="checkbox"
                  aria-label="No new chats for a day"
                  title="For a day"
                  checked=${fault.restricted_until !== null}
                  onChange=${event => onSet({ platform, restricted_until: event.currentTarget.checked ? tomorrow() : null })}
                />`
                }
              </td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    <p class="dialog-actions"><button type="button" onClick=${onClear}>Clear all</button></p>`
}

function tomorrow() {
  return new Date(Date.now() + 24 * 3_600_000).toISOString()
}

function NumberField({ label, value, max, onChange }) {
  const change = event => onChange(Number(event.currentTarget.value) || 0)
  return html`<input type="number" min="0" max=${max} step="1" aria-label=${label} value=${value} onChange=${change} />`
}
