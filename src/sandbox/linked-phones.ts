/** SQL for the sandbox's linked phones, for code that has its tables but no sandbox. */

export interface LinkedPhone {
  platform: string
  phone: string
}

export const LINKED_PHONES = 'SELECT platform, phone FROM sandbox_login ORDER BY platform, phone'

export interface LinkedLogin {
  loginId: string
  userId: string
}

export const LINKED_LOGINS =
  'SELECT id AS loginId, user_id AS userId FROM sandbox_login WHERE platform = $platform ORDER BY id'

/** Unlinks a platform's phones and drops everything waiting for them. */
export const FORGET_LINKED_PHONES = [
  'DELETE FROM sandbox_delivery WHERE platform = $platform',
  'DELETE FROM sandbox_login WHERE platform = $platform',
]
