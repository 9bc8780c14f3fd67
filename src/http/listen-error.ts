/** Explains why listening failed, naming the settings that say where. */
import { StartError } from '../domain/errors.ts'

/** @returns null when the error is about something else */
export function listenError(
  error: unknown,
  { host, port }: { host: string; port: number },
  names: { host: string; port: string },
): StartError | null {
  if (!(error instanceof Error)) return null
  const { code = '', syscall } = error as NodeJS.ErrnoException
  const address = `${host}:${port}`
  if (code === 'EADDRINUSE') {
    return new StartError(
      `${names.port}: ${address} is in use; stop what listens there, or set another ${names.port}`,
    )
  }
  if (syscall !== 'listen') return null
  if (code === 'EACCES') {
    return new StartError(
      `${names.port}: this user may not listen on ${address}; set a ${names.port} above 1023`,
    )
  }
  return new StartError(
    `${names.host}: can't listen on ${address} (${code}): expected an address of this machine`,
  )
}
