/** Processes of the bench's own: each gets its task as JSON and prints its result as one line of JSON. */
import { fileURLToPath } from 'node:url'
import type { Subprocess } from 'bun'

type Child = Subprocess<'ignore', 'pipe', 'inherit'>

/** @param script from import.meta.resolve. @returns what it printed. @throws Error when it fails */
export async function runTask<Task, Result>(script: string, task: Task): Promise<Result> {
  const child = start(script, task)
  const text = await new Response(child.stdout).text()
  const exitCode = await child.exited
  if (exitCode !== 0) throw new Error(`${fileURLToPath(script)} ended with ${exitCode}`)
  return JSON.parse(text) as Result
}

/** A process that says in its first line that it is ready, and serves until it is ended. */
export async function startServer<Task>(
  script: string,
  task: Task,
): Promise<{ firstLine: string } & AsyncDisposable> {
  const child = start(script, task)
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true })
    if (text.includes('\n')) break
  }
  if (!text.includes('\n')) throw new Error(`${fileURLToPath(script)} ended before it was ready`)
  return {
    firstLine: text.slice(0, text.indexOf('\n')),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await child.exited
    },
  }
}

/** In such a process: what it is to do. */
export function readTask<Task>(): Task {
  return JSON.parse(process.argv[2] ?? 'null') as Task
}

function start<Task>(script: string, task: Task): Child {
  return Bun.spawn([process.execPath, fileURLToPath(script), JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}
