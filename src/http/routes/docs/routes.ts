/** /docs: the OpenAPI document and Swagger UI, from the binary alone. */
import { Elysia } from 'elysia'

export function docsRoutes(_version: string) {
  return new Elysia({ name: 'docs', prefix: '/docs' })
}
