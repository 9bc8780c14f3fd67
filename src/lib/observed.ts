/**
 * Marks a promise as awaited later. Without it, a failure in the meantime would be an unhandled
 * rejection: reported as a defect, it makes the process exit with a failure.
 */
export function observed<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}
