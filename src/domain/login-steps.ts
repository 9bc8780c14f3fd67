/** A login at a bridge, step by step, as the bridge prescribes it (in bridgev2's terms). */
import type { CookieField, LinkEvent, LinkField } from './views/link.ts'
import type { PlatformView } from './views/platform.ts'

export type LoginFlow = PlatformView['flows'][number]

/** Fields of every step of a login, but for its end. */
interface LoginStepBase {
  processId: string
  stepId: string
  /** Ties a submission to this step, so that a repeat does no harm; null in bridges without it. */
  txnId: string | null
  /** For a person, in the bridge's words; may be empty. */
  instructions: string
}

type Shown<Type extends LinkEvent['type']> = Extract<LinkEvent, { type: Type }>

/** One step of a login at a bridge. */
export type LoginStep =
  | (LoginStepBase & {
      kind: 'display'
      display: 'qr' | 'code' | 'emoji' | 'nothing'
      data: string
      /** A picture of what is to be shown, where the bridge has one. */
      image_url: string | null
    })
  | (LoginStepBase & { kind: 'input'; fields: LinkField[]; attachments: Shown<'input'>['attachments'] })
  | (LoginStepBase & { kind: 'cookies'; fields: CookieField[]; page: LoginPage })
  | (LoginStepBase & Pick<Shown<'passkey'>, 'url' | 'publicKey'> & { kind: 'passkey'; fields: LinkField[] })
  | { kind: 'complete'; loginId: string }

/** A step that asks for something. */
export type AskingStep = Extract<LoginStep, { kind: 'input' | 'cookies' | 'passkey' }>

/** The web page where somebody logs in and whose cookies are then asked for. */
type LoginPage = Omit<Shown<'cookies'>, 'type' | 'fields' | 'instructions'>
