/** The page: phones, their chats and the open conversation, updated by server-sent events. */
import { api, listen } from './api.js'
import { Conversation } from './conversation.js'
import { ChatDetails, SendOther } from './details.js'
import { Dialog, Faults, FirstSteps, Groups, NewChat, NewPhone } from './dialogs.js'
import { ChatList, PhoneList } from './lists.js'
import { html, render, useCallback, useEffect, useRef, useState } from './preact.js'

const SHOWN_MESSAGES = 300
const NO_DRAFT = { text: '', file: null, reply: null, edit: null }

/** The address names what is open: #phone, or #phone/platform/chat. */
function readAddress() {
  const [phone = '', platform, ...chat] = location.hash.slice(1).split('/').map(decodeURIComponent)
  return { phone, chatKey: platform && chat.length > 0 ? `${platform}/${chat.join('/')}` : '' }
}

function goTo(phone, chat) {
  const parts = chat ? [phone, chat.platform, chat.id] : [phone]
  location.hash = parts.map(encodeURIComponent).join('/')
}

const keyOf = chat => `${chat.platform}/${chat.id}`

function App() {
  const [address, setAddress] = useState(readAddress())
  const [phones, setPhones] = useState([])
  const [groups, setGroups] = useState([])
  const [faults, setFaults] = useState({})
  const [chats, setChats] = useState([])
  const [messages, setMessages] = useState([])
  const [drafts, setDrafts] = useState({})
  const [dialog, setDialog] = useState('')
  const [live, setLive] = useState(true)
  const [problem, setProblem] = useState('')

  const phone = phones.find(candidate => candidate.phone === address.phone) ?? null
  const chat = chats.find(candidate => candidate.key === address.chatKey) ?? null
  const platforms = Object.keys(faults)
  const draftKey = `${address.phone} ${address.chatKey}`
  const draft = drafts[draftKey] ?? NO_DRAFT
  const setDraft = value => setDrafts(all => ({ ...all, [draftKey]: value }))

  const failed = useCallback(error => setProblem(error.message), [])
  const open = useRef(address)
  open.current = address

  const loadDirectory = useCallback(
    () =>
      Promise.all([
        api.phones().then(setPhones),
        api.groups().then(setGroups),
        api.faults().then(setFaults),
      ]).catch(failed),
    [],
  )

  /** Drops answers for a chat that is no longer open. */
  const loadOpen = useCallback(async () => {
    const { phone: wanted, chatKey } = open.current
    if (!wanted) return
    try {
      const found = (await api.chats(wanted)).map(one => ({ ...one, key: keyOf(one) }))
      if (open.current.phone !== wanted) return
      setChats(found)
      const wantedChat = found.find(one => one.key === chatKey)
      const texts = wantedChat ? await api.messages(wanted, wantedChat, SHOWN_MESSAGES) : []
      if (open.current.phone === wanted && open.current.chatKey === chatKey) setMessages(texts)
    } catch (error) {
      failed(error)
    }
  }, [])

  useEffect(() => {
    const onHash = () => {
      setAddress(readAddress())
      setMessages([])
      setProblem('')
    }
    addEventListener('hashchange', onHash)
    return () => removeEventListener('hashchange', onHash)
  }, [])

  useEffect(() => setChats([]), [address.phone])

  useEffect(() => {
    loadOpen()
  }, [address.phone, address.chatKey])

  useEffect(() => {
    loadDirectory()
    return listen(
      change => {
        const unknown = change.phones.some(changed => !known.current.has(changed))
        if (change.directory || unknown) loadDirectory()
        if (change.directory || change.phones.includes(open.current.phone)) loadOpen()
      },
      connected => {
        setLive(connected)
        // Loads what happened while disconnected.
        if (connected) {
          loadDirectory()
          loadOpen()
        }
      },
    )
  }, [])

  const known = useRef(new Set())
  known.current = new Set(phones.map(({ phone: number }) => number))

  /** @returns true if it was sent */
  async function send(message) {
    const isForm = message instanceof FormData
    const target = { platform: chat.platform, [chat.group ? 'group' : 'to']: chat.id }
    if (isForm) for (const [name, value] of Object.entries(target)) message.append(name, value)
    try {
      await api.send(phone.phone, isForm ? message : { ...target, ...message })
      setProblem('')
      return true
    } catch (error) {
      failed(error)
      return false
    }
  }

  const changeChat = change => api.changeChat(phone.phone, chat, change).then(loadOpen, failed)

  /** @throws Error with the server's message, which the dialog shows */
  async function changeGroup(change) {
    await api.changeGroup(chat, { by: phone.phone, ...change })
    await loadOpen()
  }

  async function sendOther(message) {
    await api.send(phone.phone, {
      platform: chat.platform,
      [chat.group ? 'group' : 'to']: chat.id,
      ...message,
    })
    setDialog('')
  }

  async function startChat({ to, platform, text }) {
    const isGroup = /[a-z]/i.test(to)
    const sent = await api.send(phone.phone, { [isGroup ? 'group' : 'to']: to, platform, text })
    setDialog('')
    goTo(phone.phone, { platform: sent.platform, id: sent.chat })
  }

  async function addPhone({ phone: number, name }) {
    const saved = await api.savePhone({ phone: number, ...(name ? { name } : {}) })
    await loadDirectory()
    setDialog('')
    goTo(saved.phone)
  }

  async function createGroup({ name, platform, members }) {
    const list = members
      .split(',')
      .map(member => member.trim())
      .filter(Boolean)
    await api.createGroup({ name, platform, members: list })
    await loadDirectory()
  }

  const anyFault = Object.values(faults).some(
    fault =>
      fault.offline || fault.fail_next > 0 || fault.delay_ms > 0 || (fault.restricted_until ?? null) !== null,
  )
  const anyLinked = phones.some(({ linked }) => linked.length > 0)
  const view = chat ? 'talk' : phone ? 'chats' : 'phones'
  const closeDialog = () => setDialog('')

  return html`<div class="app" data-view=${view}>
    <header class="top">
      <img src="/sandbox/assets/icon.svg" alt="" width="32" height="32" />
      <div class="grow">
        <h1>Sandbox</h1>
        <p>Phones of a network that exists only here: nothing leaves this computer.</p>
      </div>
      <span class="live ${live ? 'on' : 'off'}" role="status">${live ? 'Live' : 'Reconnecting…'}</span>
      <button type="button" onClick=${() => setDialog('steps')}>First steps</button>
      <button type="button" onClick=${() => setDialog('groups')}>Groups</button>
      <button type="button" class=${anyFault ? 'warn' : ''} onClick=${() => setDialog('faults')}>
        Faults${anyFault ? ' on' : ''}
      </button>
    </header>
    ${
      problem &&
      html`<div class="problem" role="alert">
        <span>${problem}</span><button type="button" aria-label="Hide" onClick=${() => setProblem('')}>×</button>
      </div>`
    }
    <div class="columns">
      <${PhoneList} phones=${phones} selected=${address.phone} onSelect=${number => goTo(number)} onAdd=${() => setDialog('phone')} />
      <${ChatList}
        phone=${phone}
        chats=${phone ? chats : []}
        selectedKey=${address.chatKey}
        onSelect=${key =>
          goTo(
            phone.phone,
            chats.find(one => one.key === key),
          )}
        onNew=${() => setDialog('chat')}
        onBack=${() => goTo('')}
        onEcho=${echo => api.savePhone({ phone: phone.phone, echo }).catch(failed)}
        onUnlink=${platform => api.setFaults({ logout: phone.phone, platform }).catch(failed)}
      />
      ${
        !phone && !anyLinked
          ? html`<main class="column talk welcome"><div class="welcome-body"><h2>Link a phone first</h2><${FirstSteps} /></div></main>`
          : html`<${Conversation}
              phone=${phone}
              chat=${chat}
              messages=${messages}
              draft=${draft}
              setDraft=${setDraft}
              onSend=${send}
              onBack=${() => goTo(phone.phone)}
              onTyping=${typing => api.changeChat(phone.phone, chat, { typing }).catch(failed)}
              onDetails=${() => setDialog('details')}
              onOther=${() => setDialog('other')}
            />`
      }
    </div>
    ${
      dialog === 'details' &&
      chat &&
      html`<${Dialog} title=${chat.name} onClose=${closeDialog}>
        <${ChatDetails}
          phone=${phone}
          chat=${chat}
          loadGroup=${() => api.group(chat)}
          onChange=${changeChat}
          onGroup=${changeGroup}
        />
      <//>`
    }
    ${
      dialog === 'other' &&
      chat &&
      html`<${Dialog} title=${`Send to ${chat.name}`} onClose=${closeDialog}><${SendOther} onSend=${sendOther} /><//>`
    }
    ${dialog === 'steps' && html`<${Dialog} title="First steps" onClose=${closeDialog}><${FirstSteps} /><//>`}
    ${dialog === 'phone' && html`<${Dialog} title="Add a phone" onClose=${closeDialog}><${NewPhone} onSave=${addPhone} /><//>`}
    ${
      dialog === 'chat' &&
      html`<${Dialog} title="New chat" onClose=${closeDialog}>
        <${NewChat} platforms=${platforms} groups=${groups} onStart=${startChat} />
      <//>`
    }
    ${
      dialog === 'groups' &&
      html`<${Dialog} title="Groups" onClose=${closeDialog}>
        <${Groups} platforms=${platforms} groups=${groups} onCreate=${createGroup} />
      <//>`
    }
    ${
      dialog === 'faults' &&
      html`<${Dialog} title="Faults" onClose=${closeDialog}>
        <${Faults}
          faults=${faults}
          onSet=${change => api.setFaults(change).then(setFaults, failed)}
          onClear=${() => api.clearFaults().then(setFaults, failed)}
        />
      <//>`
    }
  </div>`
}

render(html`<${App} />`, document.getElementById('app'))
