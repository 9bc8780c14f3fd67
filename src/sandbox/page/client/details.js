/** Dialogs of a chat: what its phone does with it, its group, and what else it can send. */

import { Form } from './dialogs.js'
import { html, useEffect, useState } from './preact.js'

const DAY_S = 86_400
const TIMERS = [
  [0, 'Stay'],
  [DAY_S, 'Go after a day'],
  [7 * DAY_S, 'Go after a week'],
  [90 * DAY_S, 'Go after 90 days'],
]

/** @param onChange changes the phone's chat; @param onGroup the group, as this phone */
export function ChatDetails({ phone, chat, loadGroup, onChange, onGroup }) {
  const [group, setGroup] = useState(null)
  const isGroup = chat.group
  const load = () => (isGroup ? loadGroup().then(setGroup) : undefined)
  useEffect(() => {
    load()
  }, [chat])
  const change = given => onGroup(given).then(load)
  return html`<div class="stack">
    <label>Messages
      <select
        value=${chat.disappearing_s}
        onChange=${event => onChange({ disappearing_s: Number(event.currentTarget.value) })}
      >
        ${timersWith(chat.disappearing_s).map(([seconds, name]) => html`<option value=${seconds}>${name}</option>`)}
      </select>
    </label>
    <p class="dialog-actions">
      <button type="button" disabled=${chat.unread === 0} onClick=${() => onChange({ read: true })}>
        Mark as read${chat.unread > 0 ? ` (${chat.unread})` : ''}
      </button>
      ${
        !isGroup &&
        html`<button type="button" onClick=${() => onChange({ blocked: !chat.blocked })}>
          ${chat.blocked ? 'Unblock' : 'Block'}
        </button>`
      }
    </p>
    ${group && group.kind === 'group' && html`<${GroupDetails} phone=${phone} group=${group} onChange=${change} />`}
  </div>`
}

function timersWith(seconds) {
  return TIMERS.some(([known]) => known === seconds)
    ? TIMERS
    : [...TIMERS, [seconds, `Go after ${seconds} s`]]
}

function GroupDetails({ phone, group, onChange }) {
  const isAdmin = group.admins.includes(phone.phone)
  const [problem, setProblem] = useState('')
  const act = change =>
    onChange(change).then(
      () => setProblem(''),
      error => setProblem(error.message),
    )
  return html`<${Form} action="Save" onSubmit=${({ name, topic }) => onChange({ name, topic })}>
      <label>Name <input name="name" required value=${group.name} autocomplete="off" /></label>
      <label>Topic <input name="topic" value=${group.topic} autocomplete="off" /></label>
    <//>
    <${Form} action="Add" onSubmit=${({ member }) => onChange({ add: [member] })}>
      <label>New member <input name="member" required inputmode="tel" autocomplete="off" placeholder="Number" /></label>
    <//>
    ${problem && html`<p class="error" role="alert">${problem}</p>`}
    <ul class="cards" aria-label="Members">
      ${group.members.map(member => {
        const isMemberAdmin = group.admins.includes(member)
        return html`<li key=${member}>
          <div class="card-head"><strong>+${member}</strong><small>${isMemberAdmin ? 'admin' : ''}</small></div>
          <p class="dialog-actions">
            ${
              isAdmin &&
              html`<button type="button" class="small" onClick=${() => act({ [isMemberAdmin ? 'demote' : 'promote']: [member] })}>
                ${isMemberAdmin ? 'No admin' : 'Make admin'}
              </button>`
            }
            ${
              (isAdmin || member === phone.phone) &&
              html`<button type="button" class="small danger" onClick=${() => act({ remove: [member] })}>
                ${member === phone.phone ? 'Leave' : 'Remove'}
              </button>`
            }
          </p>
        </li>`
      })}
    </ul>`
}

/** Sends what isn't text. @param onSend takes a body of the interface */
export function SendOther({ onSend }) {
  const [kind, setKind] = useState('poll')
  return html`<div class="stack">
    <label>What
      <select value=${kind} onChange=${event => setKind(event.currentTarget.value)}>
        <option value="poll">A poll</option>
        <option value="card">A contact card</option>
        <option value="place">A place</option>
        <option value="call">A call</option>
      </select>
    </label>
    ${
      kind === 'poll' &&
      html`<${Form} action="Send poll" onSubmit=${fields => onSend({ poll: pollOf(fields) })}>
        <label>Question <input name="question" required autocomplete="off" /></label>
        <label>Options <textarea name="options" rows="3" required placeholder="One a line"></textarea></label>
        <label>Choices of each <input name="most" type="number" min="1" value="1" /></label>
      <//>`
    }
    ${
      kind === 'card' &&
      html`<${Form} action="Send card" onSubmit=${({ name, number }) => onSend({ contact_card: { name, phones: [number] } })}>
        <label>Name <input name="name" required autocomplete="off" /></label>
        <label>Number <input name="number" required inputmode="tel" autocomplete="off" /></label>
      <//>`
    }
    ${
      kind === 'place' &&
      html`<${Form} action="Send place" onSubmit=${({ name, ...at }) => onSend({ location: { ...numbers(at), name } })}>
        <label>Name <input name="name" autocomplete="off" /></label>
        <label>Latitude <input name="latitude" type="number" step="any" required /></label>
        <label>Longitude <input name="longitude" type="number" step="any" required /></label>
      <//>`
    }
    ${
      kind === 'call' &&
      html`<${Form} action="Call" onSubmit=${({ video }) => onSend({ call: { video: video === 'on' } })}>
        <label>With video <input name="video" type="checkbox" /></label>
      <//>`
    }
  </div>`
}

function pollOf({ question, options, most }) {
  const listed = options
    .split('\n')
    .map(option => option.trim())
    .filter(Boolean)
  return { question, options: listed, max_selections: Number(most) || 1 }
}

function numbers(fields) {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, Number(value)]))
}
