/** The messages that one recipient gets of a send: one, or one for each file. */
import type { SendContent } from '../../../domain/views/message-content.ts'
import { fileToFetch, type NewFile } from '../../media/media.ts'
import { type SendRequest, textOf } from './request.ts'

export interface Part {
  text: string | null
  content: SendContent | null
  replyTo: string | null
  file: NewFile | undefined
}

/** @returns names of the fields that bring a file */
export function filesNamed({ files, fileUrl }: SendRequest): string[] {
  return [...(files?.length ? ['file'] : []), ...(fileUrl ? ['file_url'] : [])]
}

/** @returns the parts in their order: the first has the text, and answers what is answered */
export function partsOf(request: SendRequest): Part[] {
  const { identityId, text, content, files = [], fileUrl, replyId } = request
  const [file, ...others] = fileUrl ? [fileToFetch(identityId, fileUrl)] : files
  const first: Part = { text: textOf(text), content: content ?? null, replyTo: replyId || null, file }
  const ofFile = content?.as ? { as: content.as } : null
  return [first, ...others.map(other => ({ text: null, content: ofFile, replyTo: null, file: other }))]
}
