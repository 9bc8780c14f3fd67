/**
 * Prints the OpenAPI document as it is committed: `bun src/http/openapi/print.ts > openapi.json`.
 */
import packageJson from '../../../package.json' with { type: 'json' }
import { openApiDocument } from './document.ts'

export async function printedDocument(): Promise<string> {
  return `${JSON.stringify(await openApiDocument(packageJson.version), null, 2)}\n`
}

if (import.meta.main) process.stdout.write(await printedDocument())
