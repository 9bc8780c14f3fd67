/** A release’s bill of materials is valid, complete, and the same for the same lockfile. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Spec, Validation } from '@cyclonedx/cyclonedx-library'
import { softwareBillOfMaterials } from '../../../scripts/sbom.ts'

const ROOT = join(import.meta.dir, '..', '..', '..')
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

interface Bom {
  metadata: { component: { name: string; version: string } }
  components: { group?: string; name: string; version: string; 'bom-ref': string; licenses?: unknown[] }[]
  dependencies: { ref: string; dependsOn?: string[] }[]
}
const document = softwareBillOfMaterials()
const bom: Bom = JSON.parse(document)
const nameOf = ({ group, name }: Bom['components'][number]) => (group ? `${group}/${name}` : name)

test('is valid CycloneDX', async () => {
  expect(await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(document)).toBeNull()
})

test('has the program, Bun, and every package it needs at the version installed', () => {
  expect(bom.metadata.component).toMatchObject({ name: 'meshgate', version: manifest.version })
  const versions = new Map(bom.components.map(component => [nameOf(component), component.version]))
  expect(versions.get('bun')).toBe(readFileSync(join(ROOT, '.bun-version'), 'utf8').trim())
  for (const [name, version] of Object.entries<string>(manifest.dependencies)) {
    expect([name, versions.get(name)]).toEqual([name, version])
  }
  // A dependency of matrix-js-sdk, and none of ours itself.
  expect(versions.has('matrix-events-sdk')).toBeTrue()
})

test('has nothing that only builds and tests it', () => {
  const names = bom.components.map(nameOf)
  const own = new Set(Object.keys(manifest.dependencies))
  for (const name of ['knip', 'drizzle-kit', 'dependency-cruiser', '@biomejs/biome', 'playwright-core']) {
    expect([name, names.includes(name) && !own.has(name)]).toEqual([name, false])
  }
})

test('says what each is licensed by, and what needs what', () => {
  expect(bom.components.filter(({ licenses }) => !licenses?.length).map(nameOf)).toEqual([])
  const refs = new Set([...bom.components.map(component => component['bom-ref']), 'meshgate'])
  for (const { dependsOn = [] } of bom.dependencies)
    for (const ref of dependsOn) expect(refs.has(ref)).toBeTrue()
  const direct = bom.dependencies.find(({ ref }) => ref === 'meshgate')?.dependsOn ?? []
  expect(direct).toHaveLength(Object.keys(manifest.dependencies).length + 1)
})

test('is the same for the same lockfile', () => {
  expect(softwareBillOfMaterials()).toBe(document)
})
