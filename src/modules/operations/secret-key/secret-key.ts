/**
 * SECRET_KEY and its change. A check value in the settings tells the database's key: with another
 * one the start is refused, as every token and secret would be worthless without a word. Setting a
 * new key beside SECRET_KEY_PREVIOUS changes it: the next start seals everything anew in one
 * transaction, and tokens, of which only hashes are kept, are hashed anew at their next use
 * (modules/tenants).
 */
import type { Db } from '../../../db/open.ts'
import { StartError } from '../../../domain/errors.ts'
import type { Clock } from '../../../lib/clock.ts'
import type { Logger } from '../../../lib/logger.ts'
import {
  createHmacHasher,
  createSealer,
  deriveKey,
  equalInConstantTime,
  type Sealer,
} from '../../../lib/sealing.ts'
import { createSecretKeyRepository, type SecretKeyRepository } from './repository.ts'

const CHECK = 'secret_key_check'
const CHANGED_AT = 'secret_key_changed_at'
/** The first key, once it was changed: the homeserver knows the passwords made with it. */
const PASSWORD_KEY = 'matrix_password_key_sealed'
/** The purpose of the keys of Matrix users' passwords. */
export const PASSWORDS = 'matrix-passwords'

/** The current key, and the one before while it is being replaced. */
export interface SecretKeys {
  secretKey: string
  previousSecretKey?: string | undefined
}

/** The keys in use. */
export interface Keyring {
  sealer: Sealer
  /** A keyed one-way function under a key of its own. */
  hasherFor(purpose: string): (text: string) => string
  /** The same under the previous key; undefined when there is none. */
  previousHasherFor: ((purpose: string) => (text: string) => string) | undefined
}

/**
 * Brings the database under the current key.
 * @throws StartError when it was written with another one
 */
export async function settleSecretKey(
  db: Db,
  keys: SecretKeys,
  { clock, logger }: { clock: Clock; logger: Logger },
): Promise<void> {
  const repository = createSecretKeyRepository(db)
  if ((await keyInUse(repository, keys)) === 'previous') {
    await replaceKey(repository, keys, clock.now())
    logger.info('SECRET_KEY was changed: all stored secrets are sealed anew')
  } else if ((await repository.settings.find(CHECK)) === null) {
    await repository.settings.replace(CHECK, checkOf(keys.secretKey))
  }
  const changedAt = await repository.settings.find(CHANGED_AT)
  if (keys.previousSecretKey === undefined || changedAt === null) return
  const tokens = await repository.countUnusedTokens(Number(changedAt))
  logger.info(
    { tokens },
    tokens === 0
      ? 'every token is under the new SECRET_KEY: SECRET_KEY_PREVIOUS can go'
      : 'these tokens have not been used since SECRET_KEY was changed, and work only as long as SECRET_KEY_PREVIOUS is set',
  )
}

/**
 * For who works beside the gateway: changes nothing.
 * @throws StartError when the database was written with another key
 */
export async function openKeyring(db: Db, keys: SecretKeys): Promise<Keyring> {
  const repository = createSecretKeyRepository(db)
  await keyInUse(repository, keys)
  const { secretKey: current, previousSecretKey: previous } = keys
  const sealer = createSealer(current, previous)
  const sealedKey = await repository.settings.find(PASSWORD_KEY)
  const passwordKey = sealedKey === null ? null : Buffer.from(sealer.open(sealedKey, PASSWORDS), 'base64')
  return {
    sealer,
    hasherFor: purpose =>
      createHmacHasher(purpose === PASSWORDS && passwordKey ? passwordKey : deriveKey(current, purpose)),
    previousHasherFor:
      previous === undefined ? undefined : purpose => createHmacHasher(deriveKey(previous, purpose)),
  }
}

async function keyInUse(
  repository: SecretKeyRepository,
  { secretKey: current, previousSecretKey: previous }: SecretKeys,
): Promise<'current' | 'previous'> {
  const isRight = await keyTest(repository)
  if (isRight(current)) return 'current'
  if (previous !== undefined && isRight(previous)) return 'previous'
  const other = previous === undefined ? '' : ', nor with SECRET_KEY_PREVIOUS'
  throw new StartError(
    `SECRET_KEY: this database was not written with it${other}; set the key of before again, or set it as SECRET_KEY_PREVIOUS to change to this one`,
  )
}

async function keyTest(repository: SecretKeyRepository): Promise<(key: string) => boolean> {
  const check = await repository.settings.find(CHECK)
  if (check !== null) return key => equalInConstantTime(check, checkOf(key))
  // From before there was a check value, or new: what is sealed tells, if anything is.
  const sample = await repository.sample()
  return key => sample === null || opens(key, sample)
}

function opens(key: string, { sealed, context }: { sealed: string; context: string }): boolean {
  try {
    createSealer(key).open(sealed, context)
    return true
  } catch {
    return false
  }
}

async function replaceKey(
  repository: SecretKeyRepository,
  { secretKey: current, previousSecretKey: previous = '' }: SecretKeys,
  now: number,
): Promise<void> {
  const [sealer, before] = [createSealer(current), createSealer(previous)]
  const passwordKey = await repository.settings.find(PASSWORD_KEY)
  const passwords =
    passwordKey === null
      ? deriveKey(previous, PASSWORDS).toString('base64')
      : before.open(passwordKey, PASSWORDS)
  await repository.replace((sealed, context) => sealer.seal(before.open(sealed, context), context), {
    [CHECK]: checkOf(current),
    [CHANGED_AT]: String(now),
    [PASSWORD_KEY]: sealer.seal(passwords, PASSWORDS),
  })
}

/** Tells keys apart, and nothing of them. */
function checkOf(key: string): string {
  return createHmacHasher(deriveKey(key, 'key-check'))('meshgate')
}
