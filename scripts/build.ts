/**
 * Builds the program as one file, `dist/meshgate` (or `--outfile`) for this platform, or
 * `dist/meshgate-<platform>` for named platforms or `all`, and its SBOM, `dist/meshgate.cdx.json`.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeSbom } from './sbom.ts'

/** Platform names in Bun's npm packages, by ours. */
const PLATFORMS = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-aarch64',
  'darwin-x64': 'darwin-x64',
  'darwin-arm64': 'darwin-aarch64',
  'windows-x64': 'windows-x64',
} as const
type Platform = keyof typeof PLATFORMS

const { values: options, positionals: names } = parseArgs({
  options: { outfile: { type: 'string' } },
  allowPositionals: true,
})
if (names.length === 0) {
  await build(options.outfile ?? join('dist', process.platform === 'win32' ? 'meshgate.exe' : 'meshgate'))
} else {
  for (const name of names.includes('all') ? Object.keys(PLATFORMS) : names) {
    if (!isPlatform(name)) {
      console.error(`unknown platform ${name}: expected all or some of ${Object.keys(PLATFORMS).join(', ')}`)
      process.exit(1)
    }
    await build(join('dist', `meshgate-${name}${name === 'windows-x64' ? '.exe' : ''}`), name)
  }
  writeSbom(join('dist', 'meshgate.cdx.json'))
}

async function build(outfile: string, platform?: Platform): Promise<void> {
  const result = await Bun.build({
    entrypoints: ['src/main.ts'],
    target: 'bun',
    minify: true,
    // Compiled ahead, the program is ready in a third of the time.
    bytecode: true,
    format: 'esm',
    // The source map is in the binary, so that stack traces name lines of the source.
    sourcemap: 'linked',
    // Dependencies open their assets by package path, so the assets get these names.
    naming: { asset: 'pkg/[name].[ext]' },
    compile: {
      outfile,
      // The program reads .env itself, after the environment, and never a bunfig.toml.
      autoloadDotenv: false,
      autoloadBunfig: false,
      ...(platform && {
        target: `bun-${platform}` as const,
        executablePath: bunFor(platform),
      }),
    },
  })
  for (const log of result.logs) console.error(log)
  if (!result.success) process.exit(1)
  // Bun also writes the map beside the binary, where nothing reads it.
  rmSync(`${outfile.replace(/\.exe$/, '')}.map`, { force: true })
  rmSync(`${outfile}.map`, { force: true })
  console.log(`${outfile}: ${Math.round(Bun.file(outfile).size / 2 ** 20)} MiB`)
}

/** Another platform's Bun, from its npm package: Bun's own download uses another source. */
function bunFor(platform: Platform): string {
  const version = readFileSync('.bun-version', 'utf8').trim()
  const folder = join('.tools', 'platforms', version, platform)
  const name = `@oven/bun-${PLATFORMS[platform]}`
  const binary = join(folder, 'node_modules', name, 'bin', platform === 'windows-x64' ? 'bun.exe' : 'bun')
  if (existsSync(binary)) return binary
  mkdirSync(folder, { recursive: true })
  // Without a package.json here, `bun add` would add to ours.
  writeFileSync(join(folder, 'package.json'), '{}')
  const [os, cpu] = platform.replace('windows', 'win32').split('-')
  const fetched = Bun.spawnSync(
    [
      process.execPath,
      'add',
      '--no-save',
      '--ignore-scripts',
      '--os',
      `${os}`,
      '--cpu',
      `${cpu}`,
      `${name}@${version}`,
    ],
    { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] },
  )
  if (!fetched.success || !existsSync(binary)) {
    console.error(`could not fetch ${name}@${version}`)
    process.exit(1)
  }
  return binary
}

function isPlatform(name: string): name is Platform {
  return Object.hasOwn(PLATFORMS, name)
}
