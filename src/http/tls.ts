/**
 * Checks the certificate and its key before they are used: the TLS library's errors name neither.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Config } from '../config/index.ts'
import { messageOf, StartError } from '../domain/errors.ts'
import { rfc3339 } from '../lib/clock.ts'

/** Identifies a certificate, and tells when it ends. */
export interface CertificateDescription {
  subject: string
  /** RFC 3339. */
  expires: string
  /** By SHA-256. */
  fingerprint: string
}

export function describeCertificate(pem: string): CertificateDescription {
  const { subject, validToDate, fingerprint256 } = new X509Certificate(pem)
  return { subject, expires: rfc3339(validToDate.getTime()), fingerprint: fingerprint256 }
}

/** @throws StartError naming the setting that is wrong */
export function readTls(tls: NonNullable<Config['http']['tls']>): { cert: string; key: string } {
  const cert = readSetting('TLS_CERT_FILE', tls.certFile)
  const key = readSetting('TLS_KEY_FILE', tls.keyFile)
  if (!certificateOf(tls.certFile, cert).checkPrivateKey(privateKeyOf(tls.keyFile, key))) {
    throw new StartError(
      `TLS_KEY_FILE: ${tls.keyFile} isn't the key of the first certificate in ${tls.certFile}`,
    )
  }
  return { cert, key }
}

function readSetting(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new StartError(`${variable}: can't be read: ${messageOf(error)}`)
  }
}

function certificateOf(file: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw new StartError(`TLS_CERT_FILE: ${file} holds no certificate: expected a chain in PEM`)
  }
}

function privateKeyOf(file: string, pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new StartError(
      `TLS_KEY_FILE: ${file} holds no private key: expected one in PEM, without a passphrase`,
    )
  }
}
