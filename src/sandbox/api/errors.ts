/** Errors of the sandbox's interface: `{"error": "...", "code": "..."}`. */
import type { z } from 'zod'
import { errorText } from '../../lib/error-text.ts'

const STATUS = {
  bad_request: 400,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  gone: 410,
  too_large: 413,
  internal_error: 500,
  unavailable: 503,
  storage_full: 507,
} as const

export class ApiError extends Error {
  constructor(
    readonly code: keyof typeof STATUS,
    message: string,
  ) {
    super(message)
  }

  get status(): number {
    return STATUS[this.code]
  }

  toResponse(): Response {
    return Response.json({ error: errorText(this.message), code: this.code }, { status: this.status })
  }
}

/** @throws ApiError naming the field and what it should be */
export function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const field = issue?.path.join('.') || 'body'
  throw new ApiError('bad_request', `${field}: ${issue?.message ?? 'is not valid'}`)
}
