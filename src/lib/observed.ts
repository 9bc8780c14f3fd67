/**
 * Marks a promise that is awaited later, after other work, as one whose failure somebody looks at: if it fails meanwhile, that is no
 * unhandled rejection, which would be reported as a defect and make the process end with a failure.
 */
export function observed<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}
