/** One phone's conversation in a chat. */

import { Composer } from './composer.js'
import { Avatar, Badge, dayOf, Empty, sizeOf, summary, timeOf } from './parts.js'
import { html, useEffect, useRef } from './preact.js'

const REACTIONS = ['👍', '❤️', '😂']
/** Types shown on the message they refer to. */
const SHOWN_ON_OTHERS = new Set(['reaction', 'edit', 'delete', 'vote'])

export function Conversation({
  phone,
  chat,
  messages,
  draft,
  setDraft,
  onSend,
  onBack,
  onTyping,
  onDetails,
  onOther,
}) {
  const scroller = useRef(null)
  const shown = messages.filter(message => !SHOWN_ON_OTHERS.has(message.type))
  const lastId = shown.at(-1)?.id
  const atEnd = useRef(true)
  const toEnd = () => scroller.current?.scrollTo({ top: scroller.current.scrollHeight })
  useEffect(() => {
    atEnd.current = true
    toEnd()
  }, [chat?.key, lastId])
  const onScroll = ({ currentTarget: list }) => {
    atEnd.current = list.scrollHeight - list.scrollTop - list.clientHeight < 60
  }
  if (!phone || !chat) {
    return html`<main class="column talk">
      <${Empty} title="Nothing open">
        <p>${phone ? 'Choose a chat, or start a new one.' : 'Choose a phone on the left, then one of its chats.'}</p>
      <//>
    </main>`
  }
  const byId = new Map(messages.map(message => [message.id, message]))
  return html`<main class="column talk">
    <header class="column-head">
      <button type="button" class="back" aria-label="Back to the chats" onClick=${onBack}>‹</button>
      <${Avatar} name=${chat.name} group=${chat.group} />
      <div class="grow">
        <h2>${chat.name}</h2>
        <small role="status">${chat.typing.length > 0 ? `${chat.typing.map(one => `+${one}`).join(', ')} types…` : chat.group ? `${chat.members.length} members` : `+${chat.id}`}</small>
      </div>
      <${Badge} platform=${chat.platform} />
      <button type="button" class="small" onClick=${onDetails}>Details</button>
    </header>
    <div class="bubbles" ref=${scroller} tabindex="0" role="log" aria-label="Messages" onScroll=${onScroll} onLoadCapture=${() => atEnd.current && toEnd()}>
      ${shown.length === 0 && html`<${Empty} title="No messages yet"><p>Say something.</p><//>`}
      ${shown.map((message, index) => {
        const day = dayOf(message.timestamp)
        const before = shown[index - 1]
        return html`${(!before || dayOf(before.timestamp) !== day) && html`<div class="day" key=${`${message.id}-day`}>${day}</div>`}
          <${Bubble}
            key=${message.id}
            message=${message}
            own=${message.from === phone.phone}
            showName=${chat.group && before?.from !== message.from}
            quoted=${message.reply_to ? (byId.get(message.reply_to) ?? null) : undefined}
            onReply=${() => setDraft({ ...draft, reply: message, edit: null })}
            onReact=${emoji => onSend({ reaction: { message: message.id, emoji } })}
            onEdit=${() => setDraft({ ...draft, edit: message, reply: null, text: message.text })}
            onDelete=${() => onSend({ delete: message.id })}
            onVote=${options => onSend({ vote: { message: message.id, options } })}
            me=${phone.phone}
          />`
      })}
    </div>
    <${Composer} key=${`${phone.phone} ${chat.key}`} phone=${phone} draft=${draft} setDraft=${setDraft} onSend=${onSend} onTyping=${onTyping} onOther=${onOther} />
  </main>`
}

function Bubble({ message, own, showName, quoted, onReply, onReact, onEdit, onDelete, onVote, me }) {
  const classes = ['bubble', own ? 'own' : 'theirs', `type-${message.type}`, message.deleted ? 'deleted' : '']
  return html`<article class=${classes.join(' ')} data-message=${message.id}>
    ${showName && !own && html`<div class="from">${message.from_name}</div>`}
    ${quoted !== undefined && html`<blockquote><strong>${quoted?.from_name ?? ''}</strong>${summary(quoted)}</blockquote>`}
    ${message.deleted ? html`<p class="text">This message was deleted</p>` : html`<${Body} message=${message} me=${me} onVote=${onVote} />`}
    <footer>
      ${message.edited && !message.deleted && html`<span>edited</span>`}
      <time datetime=${message.timestamp}>${timeOf(message.timestamp)}</time>
      ${
        own &&
        html`<span class="ticks ${message.read_by.length > 0 ? 'read' : message.status}" title=${fateOf(message)}>
          ${message.status === 'sent' ? '✓' : '✓✓'}
        </span>`
      }
    </footer>
    <${Reactions} reactions=${message.reactions} me=${me} onReact=${onReact} />
    ${
      !message.deleted &&
      html`<div class="actions" role="group" aria-label="What to do with this message">
        <button type="button" title="Reply" onClick=${onReply}>↩</button>
        ${REACTIONS.map(emoji => html`<button type="button" title="React" onClick=${() => onReact(emoji)}>${emoji}</button>`)}
        ${own && (message.type === 'text' || message.file) && html`<button type="button" title="Edit" onClick=${onEdit}>✎</button>`}
        ${own && html`<button type="button" title="Delete" onClick=${onDelete}>🗑</button>`}
      </div>`
    }
  </article>`
}

function fateOf({ status, read_by: readers }) {
  if (readers.length > 0) return `Read by ${readers.map(reader => `+${reader}`).join(', ')}`
  return status === 'sent' ? 'On its way' : 'Delivered'
}

function Reactions({ reactions, me, onReact }) {
  if (reactions.length === 0) return null
  const counts = new Map()
  for (const { from, emoji } of reactions) {
    const entry = counts.get(emoji) ?? { count: 0, mine: false }
    counts.set(emoji, { count: entry.count + 1, mine: entry.mine || from === me })
  }
  return html`<div class="reactions">
    ${[...counts].map(
      ([emoji, { count, mine }]) => html`<button
        type="button"
        class=${mine ? 'mine' : ''}
        title=${mine ? 'Take it back' : 'React too'}
        onClick=${() => onReact(mine ? '' : emoji)}
      >
        ${emoji} ${count > 1 ? count : ''}
      </button>`,
    )}
  </div>`
}

function Body({ message, me, onVote }) {
  const { type, text, file, location, poll } = message
  const caption = text && html`<p class="text">${linked(text)}</p>`
  if (location) return html`<${Place} location=${location} text=${text} />`
  if (poll) return html`<${Poll} poll=${poll} me=${me} onVote=${onVote} />`
  if (!file)
    return html`<p class="text">${type === 'emote' ? `* ${message.from_name} ` : ''}${linked(text)}</p>`
  if (type === 'sticker') return html`<img class="sticker" src=${file.url} alt=${file.name} />`
  if (type === 'image' || (type === 'gif' && file.mime_type.startsWith('image/'))) {
    const size = file.width && file.height ? { width: file.width, height: file.height } : {}
    return html`<a href=${file.url} target="_blank" rel="noreferrer">
        <img class="picture" src=${file.url} alt=${file.name} loading="lazy" ...${size} />
      </a>${caption}`
  }
  if (type === 'gif' && file.mime_type.startsWith('video/'))
    return html`<video class="picture" autoplay loop muted playsinline src=${file.url}></video>${caption}`
  if (type === 'video')
    return html`<video class="picture" controls preload="metadata" src=${file.url}></video>${caption}`
  if (type === 'audio' || type === 'voice') {
    return html`<div class="sound">
        <span>${type === 'voice' ? 'Voice message' : file.name}</span>
        <audio controls preload="metadata" src=${file.url}></audio>
      </div>${caption}`
  }
  return html`<a class="file" href=${file.url} download=${file.name}>
      <span class="file-icon" aria-hidden="true">${(file.name.split('.').pop() ?? '').slice(0, 4)}</span>
      <span><strong>${file.name}</strong><small>${sizeOf(file.size)}</small></span>
    </a>${caption}`
}

function Poll({ poll: { question, options, votes, max_selections: most }, me, onVote }) {
  const mine = votes.find(({ from }) => from === me)?.options ?? []
  const votesFor = option => votes.filter(vote => vote.options.includes(option)).length
  const choose = option => {
    if (mine.includes(option)) return onVote(mine.filter(one => one !== option))
    return onVote([...mine, option].slice(-most))
  }
  return html`<p class="text"><strong>${question}</strong></p>
    <div class="poll" role="group" aria-label="Votes">
      ${options.map(
        option => html`<button type="button" aria-pressed=${mine.includes(option)} onClick=${() => choose(option)}>
          <span>${option}</span> <span>${votesFor(option)}</span>
        </button>`,
      )}
    </div>`
}

function Place({ location: { latitude, longitude }, text }) {
  const address = `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=14/${latitude}/${longitude}`
  return html`<a class="file place" href=${address} target="_blank" rel="noreferrer">
    <span class="file-icon" aria-hidden="true">📍</span>
    <span><strong>${text || 'Location'}</strong><small>${latitude.toFixed(4)}, ${longitude.toFixed(4)}</small></span>
  </a>`
}

/** Turns URLs in a text into links. */
function linked(text) {
  return text
    .split(/(https?:\/\/[^\s<>"]+)/g)
    .map((part, index) =>
      index % 2 === 1 ? html`<a href=${part} target="_blank" rel="noreferrer">${part}</a>` : part,
    )
}
