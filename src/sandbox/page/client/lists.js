/** Lists of phones, and of the chosen phone's chats. */

import { Avatar, Badge, Empty, summary, timeOf } from './parts.js'
import { html, useState } from './preact.js'

export function PhoneList({ phones, selected, onSelect, onAdd }) {
  const [filter, setFilter] = useState('')
  const wanted = filter.trim().toLowerCase()
  const shown = phones.filter(
    ({ phone, name }) => phone.includes(wanted.replace('+', '')) || name.toLowerCase().includes(wanted),
  )
  return html`<nav class="column phones" aria-label="Phones">
    <header class="column-head">
      <h2>Phones</h2>
      <button type="button" class="small" onClick=${onAdd}>Add phone</button>
    </header>
    <div class="filter">
      <input
        type="search"
        placeholder="Find a phone"
        aria-label="Find a phone"
        value=${filter}
        onInput=${event => setFilter(event.currentTarget.value)}
      />
    </div>
    <ul>
      ${shown.map(
        phone => html`<li key=${phone.phone}>
          <button
            type="button"
            class="row"
            aria-current=${phone.phone === selected ? 'true' : null}
            onClick=${() => onSelect(phone.phone)}
          >
            <${Avatar} name=${phone.name} />
            <span class="row-text">
              <strong>${phone.name}</strong>
              <small>+${phone.phone}</small>
              ${
                phone.linked.length > 0 &&
                html`<span class="badges">
                  ${phone.linked.map(
                    ({ platform }) => html`<${Badge} platform=${platform} title="Linked to a computer" />`,
                  )}
                </span>`
              }
            </span>
            ${phone.echo && phone.linked.length === 0 && html`<span class="echo" title="Answers by itself">echo</span>`}
          </button>
        </li>`,
      )}
      ${shown.length === 0 && html`<li class="hint">No phone matches. Any number of 5 to 15 digits can be added.</li>`}
    </ul>
  </nav>`
}

export function ChatList({ phone, chats, selectedKey, onSelect, onNew, onBack, onEcho, onUnlink }) {
  return html`<nav class="column chats" aria-label="Chats">
    <header class="column-head">
      <button type="button" class="back" aria-label="Back to the phones" onClick=${onBack}>‹</button>
      <h2 class="grow">${phone ? phone.name : 'Chats'}</h2>
      ${phone && html`<button type="button" class="small primary" onClick=${onNew}>New chat</button>`}
    </header>
    ${phone && html`<${PhoneFacts} phone=${phone} onEcho=${onEcho} onUnlink=${onUnlink} />`}
    <ul>
      ${chats.map(
        chat => html`<li key=${chat.key}>
          <button
            type="button"
            class="row"
            aria-current=${chat.key === selectedKey ? 'true' : null}
            onClick=${() => onSelect(chat.key)}
          >
            <${Avatar} name=${chat.name} group=${chat.group} />
            <span class="row-text">
              <span class="row-top">
                <strong>${chat.name}</strong>
                ${chat.last_message && html`<time>${timeOf(chat.last_message.timestamp)}</time>`}
              </span>
              <small>${lastLine(chat)}</small>
              <span class="badges">
                <${Badge} platform=${chat.platform} />
                ${chat.unread > 0 && html`<span class="unread" title="Not read yet">${chat.unread}</span>`}
              </span>
            </span>
          </button>
        </li>`,
      )}
    </ul>
    ${
      phone &&
      chats.length === 0 &&
      html`<${Empty} title="No chats yet"><p>Start one with <b>New chat</b>, or write to +${phone.phone} from a linked device.</p><//>`
    }
    ${!phone && html`<${Empty} title="No phone chosen"><p>Choose a phone to see its chats.</p><//>`}
  </nav>`
}

function lastLine({ typing, last_message: last }) {
  if (typing.length > 0) return 'typing…'
  return last ? summary(last) : 'No messages yet'
}

function PhoneFacts({ phone, onEcho, onUnlink }) {
  return html`<div class="facts">
    <div class="facts-row">
      <span>+${phone.phone}</span>
      <label class="switch" title="Answers messages of linked devices by itself, while it isn't one">
        <input type="checkbox" checked=${phone.echo} onChange=${event => onEcho(event.currentTarget.checked)} />
        Echo
      </label>
    </div>
    ${phone.linked.map(
      ({ platform, user_id }) => html`<div class="facts-row linked" key=${platform}>
        <span title=${user_id}>Linked on <${Badge} platform=${platform} /></span>
        <button type="button" class="small danger" onClick=${() => onUnlink(platform)}>Unlink</button>
      </div>`,
    )}
  </div>`
}
