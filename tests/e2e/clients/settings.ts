/** Settings that the test gives to the programs of this folder. */
declare const process: { env: Record<string, string | undefined> }

function setting(name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is missing`)
  return value
}

export const url: string = setting('GATEWAY_URL')
export const token: string = setting('TOKEN')
export const device: string = setting('DEVICE')
export const contact: string = setting('CONTACT')
export const fileName: string = setting('FILE_NAME')
export const platform = 'wa'
