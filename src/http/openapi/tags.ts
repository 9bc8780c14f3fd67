/** Groups of calls, in the order that the document has them. */
export const TAGS = {
  Tokens: 'Keys to an identity. Made and deleted by a credential.',
  Devices: 'Phones and accounts linked to an identity, and how to link one.',
  Contacts: 'People and groups that a device can write to.',
  Chats: 'The chats of all devices, and what was said in them.',
  Platforms: 'The networks there are, and what they can do.',
  Messages: 'Sending, what became of messages, and what is done to them: reactions, edits and the like.',
  Webhooks: 'Where events are delivered, and what became of each delivery.',
  Events: 'What happens on devices and in chats, to fetch or to follow as a stream.',
  Credentials: 'API clients that may make tokens. For super admins.',
  Media: 'Files of incoming messages.',
  Service: 'Whether the gateway is alive and ready.',
} as const
export type Tag = keyof typeof TAGS
