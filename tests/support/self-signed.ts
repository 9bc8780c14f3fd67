/** Makes certificates with openssl. */
import type { TempDir } from './temp-dir.ts'

/** @returns files of a key and a self-signed certificate for the host `name` */
export function selfSigned(folder: TempDir, name: string): { cert: string; key: string } {
  const [cert, key] = [folder.file(`${name}.crt`), folder.file(`${name}.key`)]
  const { exitCode, stderr } = Bun.spawnSync([
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`],
    ...['-days', '2', '-keyout', key, '-out', cert],
  ])
  if (exitCode !== 0) throw new Error(`openssl failed: ${stderr}`)
  return { cert, key }
}
