/**
 * JavaScript for the console of the site whose passkey is asked for. It copies the answer, as JSON,
 * to the clipboard. A console has `copy` only until the first `await`, so it is looked up before.
 * @param publicKey of the question, in the JSON form of WebAuthn
 */
export function passkeyScript(publicKey: Readonly<Record<string, unknown>>): string {
  const question = JSON.stringify(publicKey)
  return `copy(JSON.stringify(await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(${question}) })))`
}
