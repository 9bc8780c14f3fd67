/** Shows the steps of a link in a terminal: a renewed QR code takes the place of the one before. */
import QRCode from 'qrcode'
import type { LinkEvent } from '../../domain/views/link.ts'
import { passkeyScript } from '../../lib/passkey-script.ts'
import type { Terminal } from '../terminal.ts'

const tooLow = (lines: number) =>
  `\nThis window is too low for the code, which has ${lines} lines: enlarge it, or open the page at the address above.`

const PICTURED = '\nA picture belongs to the question: the page at the address above shows it.'

/** Goes up and clears what is below (ECMA-48, CUU and ED). */
const upAndClear = (lines: number) => `\u001b[${lines}A\u001b[0J`

export function createScreen(terminal: Terminal) {
  /** Lines of the QR code that is shown last; 0: something else is. */
  let lines = 0

  function print(text: string): void {
    lines = 0
    if (text !== '') terminal.print(text)
  }

  async function printCode(payload: string, instructions: string): Promise<void> {
    const code = await QRCode.toString(payload, { type: 'terminal', small: true, errorCorrectionLevel: 'L' })
    const web = /^https?:\/\//.test(payload) ? `\n${payload}` : ''
    const height = code.split('\n').length
    const hint = terminal.isInteractive && process.stdout.rows <= height ? tooLow(height) : ''
    const text = `${instructions}\n${code}${web}${hint}`
    const before = terminal.isInteractive && lines > 0 ? upAndClear(lines) : ''
    terminal.print(`${before}${text}`)
    lines = text.split('\n').length
  }

  return {
    async show(event: LinkEvent): Promise<void> {
      switch (event.type) {
        case 'qr':
          return await printCode(event.payload, event.instructions || 'Scan the QR code with your phone:')
        case 'code':
          return print(`${event.instructions || 'Enter this code on your phone:'}\n\n  ${event.code}\n`)
        case 'emoji':
          return print(`${event.instructions || 'Choose this on your phone:'}\n\n  ${event.emoji}\n`)
        case 'wait':
          return print(event.instructions || 'Go on with your phone …')
        case 'input':
          return print(`${event.instructions}${event.attachments.length > 0 ? PICTURED : ''}`)
        case 'cookies':
          return print(cookies(event))
        case 'passkey':
          return print(passkey(event))
      }
    },
  }
}

function cookies({ url, extract_js: script, instructions }: LinkEvent & { type: 'cookies' }): string {
  const gathers = script === null ? '' : `\nThis, in the console of that page, gathers them:\n\n${script}\n`
  return [
    instructions,
    `1. In a private window of a browser on a computer, open the developer tools (F12, Network), and log in at ${url}`,
    '2. Choose a request to that site in the list, then Copy as cURL (bash) from its menu.',
    `3. Paste it here.${gathers}`,
  ].join('\n')
}

function passkey({ url, publicKey, instructions }: LinkEvent & { type: 'passkey' }): string {
  return [
    instructions || 'Your account is protected by a passkey.',
    `1. On a computer, in Chrome or Edge, open ${url}, and there the console (F12).`,
    '2. Paste this there, press Enter, and use your passkey:',
    '',
    passkeyScript(publicKey),
    '',
    '3. The answer is in the clipboard now: paste it here.',
  ].join('\n')
}
