/** /docs: the OpenAPI document and Swagger UI, from the binary alone. */
import { Elysia } from 'elysia'
import favicon from 'swagger-ui-dist/favicon-32x32.png' with { type: 'file' }
import styles from 'swagger-ui-dist/swagger-ui.css' with { type: 'file' }
import bundle from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'file' }
import { openApiDocument } from '../../openapi/document.ts'
import { INITIALIZER, PAGE, PAGE_POLICY } from './page.ts'

export function docsRoutes(version: string) {
  let document: ReturnType<typeof openApiDocument> | undefined
  return new Elysia({ name: 'docs' })
    .get('/docs', ({ redirect }) => redirect('/docs/index.html', 302))
    .get('/docs/index.html', () => text(PAGE, 'text/html; charset=utf-8'))
    .get('/docs/json', () => {
      document ??= openApiDocument(version)
      return document
    })
    .get('/docs/swagger-initializer.js', () => text(INITIALIZER, 'text/javascript; charset=utf-8'))
    .get('/docs/swagger-ui-bundle.js', () => file(bundle, 'text/javascript; charset=utf-8'))
    .get('/docs/swagger-ui.css', () => file(styles, 'text/css; charset=utf-8'))
    .get('/docs/favicon-32x32.png', () => file(favicon, 'image/png'))
}

function text(content: string, contentType: string): Response {
  return new Response(content, {
    headers: {
      'Content-Type': contentType,
      'Content-Security-Policy': PAGE_POLICY,
      'Cache-Control': 'no-cache',
    },
  })
}

function file(path: string, contentType: string): Response {
  return new Response(Bun.file(path), {
    headers: { 'Content-Type': contentType, 'Cache-Control': 'public, max-age=3600' },
  })
}
