/**
 * Asks the registry for vulnerabilities of the packages in bun.lock (`bun audit`): failures,
 * unless audit-exceptions.ts explains them. A registry that doesn't answer isn't a failure.
 */
import { z } from 'zod'
import { AUDIT_EXCEPTIONS } from './audit-exceptions.ts'

const advisories = z.record(
  z.string(),
  z.array(
    z
      .object({ id: z.number(), url: z.string(), title: z.string(), severity: z.string() })
      .catchall(z.unknown()),
  ),
)

const run = Bun.spawnSync([process.execPath, 'audit', '--json'], { stdout: 'pipe', stderr: 'pipe' })
const found = parse(run.stdout.toString())
if (!found) {
  const reason = run.stderr.toString().trim().split('\n').at(-1)
  console.log(`Not audited: the registry can't be asked for vulnerabilities (${reason})`)
} else {
  const all = Object.entries(found).flatMap(([name, list]) => list.map(advisory => ({ name, ...advisory })))
  const open = all.filter(({ id }) => AUDIT_EXCEPTIONS[id] === undefined)
  for (const { name, severity, title, url, id } of all) {
    const explained = AUDIT_EXCEPTIONS[id]
    console.log(
      `${explained ? 'explained' : severity} ${name}: ${title} (${url})${explained ? `: ${explained}` : ''}`,
    )
  }
  const stale = Object.keys(AUDIT_EXCEPTIONS).filter(id => !all.some(advisory => advisory.id === Number(id)))
  for (const id of stale) console.log(`advisory ${id} is explained, and isn't there any more: take it out`)
  console.log(`${open.length} vulnerabilities, ${all.length - open.length} explained`)
  process.exitCode = open.length + stale.length === 0 ? 0 : 1
}

/** @returns null when the registry answered without advisories */
function parse(text: string): z.infer<typeof advisories> | null {
  try {
    return advisories.parse(JSON.parse(text))
  } catch {
    return null
  }
}
