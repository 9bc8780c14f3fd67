/** A real program as our child, in unreal time: restarts, output, stopping, leftovers. */
import { afterEach, describe, expect, test } from 'bun:test'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createLogger } from '../../../src/lib/logger.ts'
import { birthOf } from '../../../src/runtime/process-table.ts'
import {
  readProcessRecord,
  recordedProcesses,
  SupervisedProcess,
} from '../../../src/runtime/supervised-process.ts'
import { ManualClock, settled } from '../../support/manual-clock.ts'
import { isAlive } from '../../support/program.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { waitFor } from '../../support/wait-for.ts'

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Setting {
  folder: TempDir
  clock: ManualClock
  process: SupervisedProcess
  controller: AbortController
  done: Promise<void>
  log(): { level: string; msg: string }[]
}

/** Runs a shell script (`$0` is its own file) under supervision. */
function supervise(script: string, folder = newFolder(), isAnswering = async () => false): Setting {
  const file = folder.file('program.sh')
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
  const lines: string[] = []
  const clock = new ManualClock()
  const process = new SupervisedProcess({
    name: 'wa',
    command: [file, '-c', 'config.yaml'],
    isAnswering,
    dir: folder.path,
    environment: { PATH: '/usr/bin:/bin', GREETING: 'hello' },
    clock,
    logger: createLogger('debug', { format: 'json', destination: { write: line => lines.push(line) } }),
    random: () => 0.5,
  })
  const controller = new AbortController()
  const done = process.run(controller.signal)
  cleanups.push(async () => {
    controller.abort()
    while (await Promise.race([done.then(() => false), settled().then(() => true)]))
      await clock.advance(1_000)
  })
  return { folder, clock, process, controller, done, log: () => lines.map(line => JSON.parse(line)) }
}

function newFolder(): TempDir {
  const folder = tempDir()
  cleanups.push(() => folder[Symbol.dispose]())
  return folder
}

/** The process that a script has noted in `inner`; null until the whole line is there. */
const innerPid = (folder: TempDir) => {
  const noted = existsSync(folder.file('inner')) ? readFileSync(folder.file('inner'), 'utf8') : ''
  return noted.endsWith('\n') ? Number(noted) : null
}
const messages = (setting: Setting) => setting.log().map(({ msg }) => msg)
const started = (setting: Setting) => waitFor(() => setting.process.state.pid, { what: 'the start' })
/** Waits until nothing runs any more, in small steps of time. */
async function ended({ clock, done }: Setting): Promise<void> {
  const isDone = done.then(() => true)
  await waitFor(() => Promise.race([isDone, clock.advance(50).then(() => false)]), { what: 'the end' })
}
/** Waits for the pause before the next start. @returns its length in milliseconds */
const pause = ({ clock, process }: Setting) =>
  waitFor(() => process.state.pid === null && clock.nextWakeInMs, { what: 'a pause before the next start' })

describe('output', () => {
  test('is in our log line by line, with the name before it and the level that it says', async () => {
    const setting = supervise(
      [
        'echo "$GREETING from $(basename "$PWD")" >&2',
        `printf '2026-04-27T10:00:00Z \\033[33mWRN\\033[0m careful\\n2026-04-27T10:00:00Z ERR broken\\nno line end'`,
      ].join('\n'),
    )
    await pause(setting)
    const folder = setting.folder.path.split('/').at(-1)
    const lines = setting.log().map(({ level, msg }) => `${level} ${msg}`)
    expect(lines).toContain(`debug [wa] hello from ${folder}`)
    expect(lines).toContain('warn [wa] 2026-04-27T10:00:00Z WRN careful')
    expect(lines).toContain('error [wa] 2026-04-27T10:00:00Z ERR broken')
    expect(lines).toContain('debug [wa] no line end')
  })

  test('without a level is shown where the program fails to start, and else is for debug', async () => {
    let answers = false
    const setting = supervise(
      'echo "a body"; [ -e stay ] || exit 3; echo ready; exec sleep 1000',
      newFolder(),
      async () => answers,
    )
    const shown = () => setting.log().filter(({ level, msg }) => level !== 'debug' && msg.includes('a body'))
    const waitMs = await pause(setting)
    expect(shown()).toMatchObject([{ level: 'error', msg: '[wa] a body' }])
    writeFileSync(setting.folder.file('stay'), '')
    answers = true
    await setting.clock.advance(waitMs)
    const pid = await started(setting)
    await waitFor(() => messages(setting).includes('[wa] ready'))
    process.kill(pid, 'SIGKILL')
    await pause(setting)
    expect(shown()).toHaveLength(1)
  })

  test('is kept in a file, without what may be people’s messages', async () => {
    const script = `echo "DEBUG: secret"; echo "INFO: up"; while [ ! -e go ]; do sleep 0.05; done
      echo "a body"; echo "INFO: later"; exec sleep 1000`
    const setting = supervise(script, newFolder(), async () => true)
    await started(setting)
    await waitFor(() => messages(setting).includes('[wa] INFO: up'))
    writeFileSync(setting.folder.file('go'), '')
    await waitFor(() => messages(setting).includes('[wa] INFO: later'))
    expect(readFileSync(setting.folder.file('output.log'), 'utf8')).toBe('INFO: up\nINFO: later\n')
  })

  test('gets nothing of our environment but what it is given', async () => {
    process.env.SECRET_OF_THE_TEST = 'hunter2'
    const setting = supervise('env')
    await pause(setting)
    delete process.env.SECRET_OF_THE_TEST
    expect(messages(setting).join()).not.toContain('hunter2')
  })
})

describe('a program that ends', () => {
  test('is started again after waits that grow, and the first wait again after a good run', async () => {
    const script = 'echo run >> runs; [ -e stay ] && exec sleep 1000; exit 3'
    const setting = supervise(script, newFolder(), async () => true)
    const waits: number[] = []
    for (let end = 0; end < 4; end++) {
      const waitMs = await pause(setting)
      waits.push(waitMs)
      expect(setting.process.state).toMatchObject({ pid: null, restarts: end, lastExit: 'exit 3' })
      if (end === 3) writeFileSync(setting.folder.file('stay'), '')
      await setting.clock.advance(waitMs)
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000])
    const runs = () => readFileSync(setting.folder.file('runs'), 'utf8')
    const pid = await started(setting)
    await waitFor(() => runs() === 'run\n'.repeat(5))
    await setting.clock.advance(60_000)
    process.kill(pid, 'SIGKILL')
    expect(await pause(setting)).toBe(1_000)
    expect(setting.process.state).toMatchObject({ restarts: 4, lastExit: 'SIGKILL' })
  })

  test('the wait has a limit', async () => {
    const setting = supervise('exit 1')
    let longest = 0
    for (let end = 0; end < 9; end++) {
      const waitMs = await pause(setting)
      longest = Math.max(longest, waitMs)
      await setting.clock.advance(waitMs)
    }
    expect(longest).toBe(60_000)
  })

  test('one that can’t be started is tried again, and says why', async () => {
    const folder = newFolder()
    const setting = supervise('exit 0', folder)
    await pause(setting)
    chmodSync(folder.file('program.sh'), 0o600)
    await setting.clock.advance(1_000)
    expect(await pause(setting)).toBe(2_000)
    expect(setting.process.state.lastExit).toContain('EACCES')
  })

  test('one whose record can’t be written is looked after all the same', async () => {
    const folder = newFolder()
    const setting = supervise('exit 1', folder)
    await pause(setting)
    rmSync(folder.file('process.json'))
    mkdirSync(folder.file('process.json/taken'), { recursive: true })
    await setting.clock.advance(1_000)
    expect(await pause(setting)).toBe(2_000)
    expect(messages(setting).join()).toContain("its process can't be noted")
    rmSync(folder.file('process.json'), { recursive: true })
  })
})

describe('stopping', () => {
  test('asks the program to end', async () => {
    const setting = supervise(`trap 'echo bye > said; exit 0' TERM; echo ready; while :; do sleep 0.01; done`)
    await waitFor(() => messages(setting).includes('[wa] ready'))
    setting.controller.abort()
    await ended(setting)
    expect(readFileSync(setting.folder.file('said'), 'utf8')).toBe('bye\n')
    expect(readProcessRecord(setting.folder.path)).toBeNull()
  })

  test('ends one that doesn’t listen after a grace', async () => {
    const setting = supervise(`trap '' TERM; echo ready; while :; do sleep 0.01; done`)
    await waitFor(() => messages(setting).includes('[wa] ready'))
    const pid = await started(setting)
    setting.controller.abort()
    await setting.clock.advance(2_999)
    expect(isAlive(pid)).toBe(true)
    await setting.clock.advance(1)
    await ended(setting)
    expect(isAlive(pid)).toBe(false)
  })

  test('reaches what the program started itself, behind a wrapper that just ends, too', async () => {
    const setting = supervise(
      `(trap 'echo bye > said; exit 0' TERM; echo $(exec sh -c 'echo $PPID') > inner; while :; do sleep 0.01; done)\ntrue`,
    )
    const inner = await waitFor(() => innerPid(setting.folder), { what: 'the program within' })
    expect(inner).not.toBe(await started(setting))
    setting.controller.abort()
    await ended(setting)
    expect(isAlive(inner)).toBe(false)
    expect(readFileSync(setting.folder.file('said'), 'utf8')).toBe('bye\n')
  })

  test('asks once: who asks twice breaks off what it does at its end', async () => {
    const setting = supervise(
      `trap 'echo asked >> said; [ -e done ] && exit 0' TERM; echo ready; while :; do sleep 0.01; done`,
    )
    await waitFor(() => messages(setting).includes('[wa] ready'))
    setting.controller.abort()
    await setting.clock.advance(1_000)
    await waitFor(() => existsSync(setting.folder.file('said')))
    await setting.clock.advance(1_000)
    expect(readFileSync(setting.folder.file('said'), 'utf8')).toBe('asked\n')
    await ended(setting)
  })

  test('while it waits for the next start', async () => {
    const setting = supervise('exit 1')
    await pause(setting)
    setting.controller.abort()
    await setting.done
    expect(setting.clock.sleeping).toBe(0)
  })
})

test('what a wrapper leaves behind when it is killed has ended before the next start', async () => {
  const setting = supervise(
    `[ -e inner ] && exec sleep 1000; sh -c 'echo $$ > inner; exec sleep 1000' > /dev/null 2>&1; true`,
  )
  const inner = await waitFor(() => innerPid(setting.folder), { what: 'the program within' })
  process.kill(await started(setting), 'SIGKILL')
  await waitFor(async () => {
    if (setting.process.state.restarts === 0) await setting.clock.advance(50)
    return setting.process.state.restarts === 1
  })
  expect(isAlive(inner)).toBe(false)
})

describe('a program that lives without answering', () => {
  const settingOf = (answers: () => boolean) =>
    supervise('exec sleep 1000', newFolder(), async () => answers())

  /** Moves time until the program is started again. @returns how long it was silent, in seconds */
  async function untilRestart({ clock, process }: Setting): Promise<number> {
    const { restarts } = process.state
    await waitFor(() => process.state.pid, { what: 'the start' })
    await waitFor(async () => {
      if (process.state.pid !== null) await clock.advance(clock.nextWakeInMs ?? 0)
      return process.state.pid === null
    })
    await waitFor(async () => {
      await clock.advance(1_000)
      return process.state.restarts > restarts && process.state.pid
    })
    return Number(/^no answer for (\d+) s$/.exec(process.state.lastExit ?? '')?.[1])
  }

  test('is started again, with more patience each time until it answers', async () => {
    let answers = false
    const setting = settingOf(() => answers)
    const waits = [await untilRestart(setting), await untilRestart(setting)]
    expect(setting.process.state.lastExit).toBe('no answer for 120 s')
    expect(messages(setting).join()).toContain('[wa] ended (no answer for 60 s); starting it again in 1.0 s')
    answers = true
    await setting.clock.advance(300_000)
    expect(setting.process.state.restarts).toBe(2)
    answers = false
    expect(waits).toEqual([60, 120])
    expect(await untilRestart(setting)).toBeLessThanOrEqual(60)
  })
})

describe('what a killed run left behind', () => {
  /** Starts a script as nobody's child, with the record that its parent would have left. */
  function orphan(folder: TempDir, script: string, detached = true) {
    const file = folder.file('program.sh')
    writeFileSync(file, `#!/bin/sh\n${script}\n`)
    chmodSync(file, 0o755)
    const command = [file, '-c', 'config.yaml']
    const child = Bun.spawn(command, {
      cwd: folder.path,
      stdio: ['ignore', 'ignore', 'ignore'],
      detached,
    })
    noteOrphan(folder, child.pid)
    cleanups.push(() => child.kill('SIGKILL'))
    return child
  }

  function noteOrphan(folder: TempDir, pid: number, birth = birthOf(pid)) {
    const record = { pid, birth, command: ['anything'], restarts: 0, lastExit: null }
    writeFileSync(folder.file('process.json'), JSON.stringify(record))
  }

  /** Starts a program where something was left behind. */
  async function startAgain(folder: TempDir, script = 'exec sleep 1000'): Promise<Setting> {
    const setting = supervise(script, folder)
    await waitFor(async () => {
      if (setting.process.state.pid === null) await setting.clock.advance(50)
      return setting.process.state.pid
    })
    return setting
  }

  test('is stopped before a new one starts', async () => {
    const folder = newFolder()
    const left = orphan(folder, `trap 'echo bye > said; exit 0' TERM; : > up; while :; do sleep 0.01; done`)
    await waitFor(() => existsSync(folder.file('up')))
    // The new one notes whether the old one had said good-bye by then.
    const setting = await startAgain(folder, 'cat said > found; exec sleep 1000')
    expect(left.signalCode ?? left.exitCode).not.toBeNull()
    await waitFor(
      () => existsSync(folder.file('found')) && readFileSync(folder.file('found'), 'utf8') === 'bye\n',
    )
    expect(messages(setting)[0]).toBe(
      `[wa] process ${left.pid} of an earlier run is still there; stopping it`,
    )
  })

  test('is ended when it doesn’t listen', async () => {
    const folder = newFolder()
    const left = orphan(folder, `trap '' TERM; : > up; while :; do sleep 0.01; done`)
    await waitFor(() => existsSync(folder.file('up')))
    await startAgain(folder)
    expect(left.signalCode).toBe('SIGKILL')
  })

  test.each([
    ['a script that executes another program', ': > up; exec sleep 1000'],
    ['a script that runs another program', ': > up; sleep 1000; true'],
    ['a script that calls itself otherwise', ': > up; exec -a renamed sleep 1000'],
    ['a program that works elsewhere', ': > up; cd /; exec sleep 1000'],
    ['a program without an environment', ': > up; exec env -i sleep 1000'],
  ])('%s is known', async (_, script) => {
    const folder = newFolder()
    const left = orphan(folder, script.replace(/exec -a (.*)/, "exec bash -c 'exec -a $1'"))
    await waitFor(() => existsSync(folder.file('up')))
    expect(recordedProcesses(folder.path)[0]).toBe(left.pid)
    await startAgain(folder)
    expect(left.signalCode).toBe('SIGTERM')
  })

  test('the program of a wrapper that is gone is known by where it works', async () => {
    const folder = newFolder()
    const left = orphan(folder, "(exec sh -c 'echo $$ > inner; exec sleep 1000') & sleep 1000")
    const inner = await waitFor(() => innerPid(folder), { what: 'the program within' })
    left.kill('SIGKILL')
    await left.exited
    expect(recordedProcesses(folder.path)).toContain(inner)
    await startAgain(folder)
    expect(isAlive(inner)).toBe(false)
  })

  test.each([
    ['known by its command', (file: string) => [file, '-c', 'config.yaml'], 'SIGTERM'],
    ['left alone when it runs another', () => ['/bin/mautrix-whatsapp', '-c', 'config.yaml'], null],
  ])('a process whose record is of before births were noted is %s', async (_, commandOf, signal) => {
    const folder = newFolder()
    const left = orphan(folder, ': > up; while :; do sleep 0.01; done', false)
    await waitFor(() => existsSync(folder.file('up')))
    const record = {
      pid: left.pid,
      command: commandOf(folder.file('program.sh')),
      restarts: 0,
      lastExit: null,
    }
    writeFileSync(folder.file('process.json'), JSON.stringify(record))
    expect(recordedProcesses(folder.path)).toEqual(signal ? [left.pid] : [])
    await startAgain(folder)
    expect(left.signalCode).toBe(signal as NodeJS.Signals | null)
  })

  test('a process that is another by now is left alone', async () => {
    const folder = newFolder()
    // As ours, it has begun a session.
    const other = Bun.spawn(['sleep', '1000'], { stdio: ['ignore', 'ignore', 'ignore'], detached: true })
    cleanups.push(() => other.kill('SIGKILL'))
    noteOrphan(folder, other.pid, 'another birth')
    expect(recordedProcesses(folder.path)).toEqual([])
    const setting = supervise('exec sleep 1000', folder)
    await started(setting)
    expect(other.signalCode ?? other.exitCode).toBeNull()
  })

  test('the session of another that had the id meanwhile, and is gone, is left alone', async () => {
    const [folder, elsewhere] = [newFolder(), newFolder()]
    const other = orphan(elsewhere, "(exec sh -c 'echo $$ > inner; exec sleep 1000') & exit 0")
    const inner = await waitFor(() => innerPid(elsewhere), { what: 'the program within' })
    cleanups.push(() => void process.kill(inner, 'SIGKILL'))
    await other.exited
    noteOrphan(folder, other.pid, 'another birth')
    expect(recordedProcesses(folder.path)).toEqual([])
  })
})
