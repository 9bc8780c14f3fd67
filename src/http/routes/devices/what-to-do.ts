/** The sentence that tells a person what a link waits for. */
import type { LinkView } from '../../../domain/views/link.ts'

export function whatToDo({ id, step }: LinkView): string {
  const there = `POST /api/v1/devices/links/${id}`
  switch (step.type) {
    case 'qr':
      // To the letter what the usage guide has.
      return 'Scan the QR code to link your device'
    case 'code':
      return `Enter the code ${step.code} on your phone to link your device`
    case 'emoji':
      return `Choose ${step.emoji} on your phone to link your device`
    case 'wait':
      return step.instructions || 'Wait until your device is linked'
    case 'input':
      return `Answer with ${there}: ${step.fields.map(field => field.id).join(', ')}`
    case 'cookies':
      return `Log in at ${step.url} and give what that leaves in the browser with ${there}: ${step.fields.map(field => field.id).join(', ')}`
    case 'passkey':
      return `Use your passkey for ${step.url} and give what it answers with ${there}: credential`
    case 'connected':
      return 'Your device is linked'
    case 'error':
      return step.message
  }
}
