/** drizzle-kit reads this to print the SQL of a changed schema (`make migration-sql`); migrations themselves run from the binary. */
import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'sqlite',
  schema: './src/db/schema/index.ts',
  out: './dist/drizzle',
})
