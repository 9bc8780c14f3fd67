/** Writes the program's CycloneDX SBOM (cyclonedx.org): the npm packages in the binary, and Bun. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Contrib, Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library'
import { type LockedPackage, readLockedPackages } from './lockfile.ts'

const ROOT = join(import.meta.dir, '..')
/** Names of SPDX licenses become ids; expressions of several stay as they are. */
const licenses = new Contrib.License.Factories.LicenseFactory(() => {
  throw new Error('expressions are not parsed')
})

/** @returns the document as JSON; a lockfile always gives the same one */
export function softwareBillOfMaterials(): string {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const { direct, packages } = readLockedPackages(ROOT)
  const program = new Models.Component(Enums.ComponentType.Application, manifest.name, {
    version: manifest.version,
    bomRef: manifest.name,
    licenses: licensesOf(manifest.license),
  })
  const bom = new Models.Bom({ metadata: new Models.Metadata({ component: program }) })
  const runtime = bunComponent()
  const components = new Map(packages.map(locked => [locked.folder, componentOf(locked)]))
  for (const component of [runtime, ...components.values()]) bom.components.add(component)
  const refOf = (folder: string) => components.get(folder)?.bomRef
  const depend = (component: Models.Component, folders: readonly string[]) => {
    for (const ref of folders.map(refOf)) if (ref) component.dependencies.add(ref)
  }
  depend(program, direct)
  program.dependencies.add(runtime.bomRef)
  for (const { folder, needs } of packages) {
    const component = components.get(folder)
    if (component) depend(component, needs)
  }
  const normalizers = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6)
  return new Serialize.JsonSerializer(normalizers).serialize(bom, { sortLists: true, space: 2 })
}

function componentOf({ folder, name, version, integrity }: LockedPackage): Models.Component {
  const [group, bare] = name.startsWith('@') ? name.split('/') : [undefined, name]
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`
  return new Models.Component(Enums.ComponentType.Library, bare ?? name, {
    ...(group === undefined ? {} : { group }),
    version,
    purl,
    // The same version may be installed twice, in two packages.
    bomRef: `${purl}#${folder}`,
    hashes: new Models.HashDictionary([[Enums.HashAlgorithm['SHA-512'], hexOf(integrity)]]),
    licenses: licensesOf(licenseOf(folder)),
  })
}

function bunComponent(): Models.Component {
  const version = readFileSync(join(ROOT, '.bun-version'), 'utf8').trim()
  const purl = `pkg:npm/bun@${version}`
  return new Models.Component(Enums.ComponentType.Platform, 'bun', {
    version,
    purl,
    bomRef: purl,
    licenses: licensesOf('MIT'),
  })
}

function licensesOf(name: unknown): Models.LicenseRepository {
  return new Models.LicenseRepository(
    typeof name === 'string' && name !== '' ? [licenses.makeFromString(name)] : [],
  )
}

function licenseOf(folder: string): unknown {
  const file = join(ROOT, 'node_modules', folder, 'package.json')
  if (!existsSync(file)) return undefined
  const { license, licenses: older }: { license?: unknown; licenses?: { type: string }[] } = JSON.parse(
    readFileSync(file, 'utf8'),
  )
  // Packages from before 2014 list their licenses.
  return license ?? older?.map(({ type }) => type).join(' OR ')
}

function hexOf(integrity: string): string {
  return Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex')
}

export function writeSbom(file: string): void {
  writeFileSync(file, `${softwareBillOfMaterials()}\n`)
  console.log(`${file}: what the program is made of (CycloneDX)`)
}
