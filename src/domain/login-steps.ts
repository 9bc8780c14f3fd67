/** A login at a bridge, step by step, as the bridge prescribes it (the terms are those of bridgev2). */

/** What every step of a login has, but for its end. */
interface LoginStepBase {
  processId: string
  stepId: string
  /** Ties a submission to this very step, so that a repeat does no harm; null in bridges that don't know it. */
  txnId: string | null
  /** For a person, in the bridge's words; may be empty. */
  instructions: string
}

/** One step of a login at a bridge. */
export type LoginStep =
  | (LoginStepBase & {
      kind: 'display'
      display: 'qr' | 'code' | 'emoji' | 'nothing'
      data: string
      /** A picture of what is to be shown, where the bridge has one. */
      imageUrl: string | null
    })
  | (LoginStepBase & { kind: 'input'; fields: LoginField[]; attachments: LoginAttachment[] })
  | (LoginStepBase & { kind: 'cookies'; fields: LoginField[]; page: LoginPage })
  | { kind: 'complete'; loginId: string }

/** A step that asks for something. */
export type AskingStep = Extract<LoginStep, { kind: 'input' | 'cookies' }>

export interface LoginField {
  id: string
  /** For typed input one of bridgev2's (phone_number, password, 2fa_code, select, …); `cookie` for what a web login leaves behind. */
  type: string
  name: string
  description: string
  required: boolean
  /** What may be chosen from; empty when anything may be typed. */
  options: string[]
  /** A regular expression (of Go) that the value has to match. */
  pattern: string | null
  defaultValue: string | null
  /** For a cookie: where in the browser the value is found, any one of them. */
  sources: LoginFieldSource[]
}

export interface LoginFieldSource {
  /** cookie, local_storage, request_header, request_body or special. */
  type: string
  name: string
  cookieDomain: string | null
  requestUrlRegex: string | null
}

/** The web page where somebody logs in and whose cookies are then asked for. */
export interface LoginPage {
  url: string
  userAgent: string | null
  /** JavaScript that gathers the fields in that page. */
  extractJs: string | null
  waitForUrlPattern: string | null
}

/** A file to look at before answering, such as the picture of a captcha. */
export interface LoginAttachment {
  fileName: string
  mimeType: string
  /** Base64. */
  content: string
}

export interface LoginFlow {
  id: string
  name: string
  description: string
}
