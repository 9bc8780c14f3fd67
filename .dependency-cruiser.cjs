/**
 * The layers of src/: a file may import only what stands in a layer below its own, or its own folder. Plus who alone may
 * use which library. `make lint` checks it; type-only imports count too.
 */

// Top to bottom. Folders of one layer don't import each other.
const LAYERS = [
  ['main'],
  ['cli'],
  ['app'],
  ['http'],
  ['modules'],
  ['matrix', 'bridges', 'outbound', 'homeserver', 'sandbox'],
  ['config', 'db', 'runtime'],
  ['domain', 'lib'],
]

const inLayer = names => `^src/(${names.join('|')})(/|\\.ts$)`

const layerRules = LAYERS.flatMap((layer, index) =>
  layer.map(name => ({
    name: `layer-${name}`,
    comment: `src/${name} may import only its own folder and the layers below it`,
    severity: 'error',
    from: { path: inLayer([name]) },
    to: {
      path: inLayer([...LAYERS.slice(0, index).flat(), ...layer.filter(other => other !== name)]),
    },
  })),
)

/** `library` (a regular expression) may be imported only by files whose path matches `by`. */
const onlyBy = (name, library, by) => ({
  name,
  severity: 'error',
  from: { path: '^(src|migrations)/', pathNot: by },
  to: { path: library },
})

module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'every-file-in-a-layer',
      comment: 'a new folder of src/ needs its place among LAYERS (what it imports shows it)',
      severity: 'error',
      from: { path: '^src/', pathNot: inLayer(LAYERS.flat()) },
      to: {},
    },
    {
      name: 'homeserver-and-sandbox-stand-alone',
      comment: 'they know nothing of the gateway: nothing but src/lib and their own folder',
      severity: 'error',
      from: { path: '^src/(homeserver|sandbox)/' },
      to: { path: '^(src|migrations)/', pathNot: '^src/(lib|$1)/' },
    },
    {
      name: 'gateway-knows-no-homeserver-or-sandbox',
      comment: 'only the composition root puts them beside the gateway',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(app(\\.ts$|/)|homeserver/|sandbox/)' },
      to: { path: '^src/(homeserver|sandbox)/' },
    },
    {
      name: 'domain-imports-nothing',
      comment: 'but what the schemas of its views are made of',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { pathNot: '^(src/domain/|node_modules/@sinclair/typebox/)' },
    },
    onlyBy('migrations-by-db', '^migrations/', '^(src/db|migrations)/'),
    onlyBy('matrix-sdk-by-matrix', 'node_modules/matrix-js-sdk/', '^src/matrix/'),
    onlyBy('elysia-by-http', 'node_modules/(elysia|@elysiajs)/', '^src/http/'),
    onlyBy('typebox-by-http-and-views', 'node_modules/@sinclair/typebox/', '^src/(http|domain/views)/'),
    onlyBy('prom-client-by-observation', 'node_modules/prom-client/', '^src/modules/operations/observation/'),
    onlyBy('tar-stream-by-backup', 'node_modules/tar-stream/', '^src/modules/operations/backup/'),
    // A use case's SQL stands in its repository file.
    onlyBy('drizzle-by-repositories', 'node_modules/drizzle-orm/', '^src/db/|[/-]repository\\.ts$'),
    {
      name: 'sqlite-by-owners-of-tables',
      severity: 'error',
      from: {
        path: '^src/(main|cli|app|http|modules|matrix|bridges|outbound|domain|runtime|config)(/|\\.ts$)',
        pathNot: '[/-]repository\\.ts$',
      },
      to: { path: '^bun:sqlite$' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-cycles-between-modules',
      comment: 'folders of src/modules have an order, too: sending never calls receiving',
      severity: 'error',
      scope: 'folder',
      from: { path: '^src/modules/[^/]+$' },
      to: { path: '^src/modules/[^/]+$', circular: true },
    },
    {
      name: 'program-without-tests',
      comment: 'the program may not need what only tests and scripts have',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: { path: '^(tests|scripts)/' },
    },
    {
      name: 'program-without-dev-dependencies',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: {
        dependencyTypes: ['npm-dev'],
        dependencyTypesNot: ['type-only'],
        pathNot: '^node_modules/@types/',
      },
    },
    {
      name: 'declared',
      comment: 'resolvable, and a package only when package.json names it',
      severity: 'error',
      // Scripts of a page import by the addresses they are served at.
      from: { pathNot: '/page/client/' },
      to: { couldNotResolve: true, pathNot: '^bun(:|$)' },
    },
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // Programs of their own, with what is generated for them.
    exclude: { path: '^tests/e2e/clients' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['bun', 'import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
}
