/** Child processes of the bench: each gets a JSON task and prints its result as a line of JSON. */
import { fileURLToPath } from 'node:url'
import type { Subprocess } from 'bun'

type Child = Subprocess<'ignore', 'pipe', 'inherit'>

/** @param script from import.meta.resolve. @returns its result. @throws Error when it fails */
export async function runTask<Task, Result>(script: string, task: Task): Promise<Result> {
  const child = start(script, task)
  const text = await new Response(child.stdout).text()
  const exitCode = await child.exited
  if (exitCode !== 0) throw new Error(`${fileURLToPath(script)} ended with ${exitCode}`)
  return JSON.parse(text) as Result
}

/** Starts a process that serves until it is ended; its first line says that it is ready. */
export async function startServer<Task>(
  script: string,
  task: Task,
): Promise<{ pid: number; firstLine: string } & AsyncDisposable> {
  const child = start(script, task)
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true })
    if (text.includes('\n')) break
  }
  if (!text.includes('\n')) throw new Error(`${fileURLToPath(script)} ended before it was ready`)
  return {
    pid: child.pid,
    firstLine: text.slice(0, text.indexOf('\n')),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await child.exited
    },
  }
}

/** @returns the task, in a child process */
export function readTask<Task>(): Task {
  return JSON.parse(process.argv[2] ?? 'null') as Task
}

function start<Task>(script: string, task: Task): Child {
  return Bun.spawn([process.execPath, fileURLToPath(script), JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}
