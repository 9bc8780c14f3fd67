/** The page's files, embedded in the program. */
import preact from 'htm/preact/standalone.module.js' with { type: 'text' }
import { ApiError } from '../api/errors.ts'
import appStyle from './app.css' with { type: 'text' }
import api from './client/api.js' with { type: 'text' }
import app from './client/app.js' with { type: 'text' }
import composer from './client/composer.js' with { type: 'text' }
import conversation from './client/conversation.js' with { type: 'text' }
import details from './client/details.js' with { type: 'text' }
import dialogs from './client/dialogs.js' with { type: 'text' }
import lists from './client/lists.js' with { type: 'text' }
import parts from './client/parts.js' with { type: 'text' }
import icon from './icon.svg' with { type: 'text' }
import linkStyle from './link.css' with { type: 'text' }

/** The page's document; scripts create its content. */
const PAGE_SHELL = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sandbox phones</title>
<link rel="icon" href="/sandbox/assets/icon.svg">
<link rel="stylesheet" href="/sandbox/assets/app.css">
<script type="module" src="/sandbox/assets/app.js"></script>
</head>
<body>
<div id="app"></div>
<noscript><p>The phones need JavaScript. The same is at <a href="/sandbox/api/phones">/sandbox/api/phones</a>.</p></noscript>
</body>
</html>`

const SCRIPT = 'text/javascript'
const STYLE = 'text/css'

const ASSETS: Record<string, { type: string; text: string }> = {
  'index.html': { type: 'text/html', text: PAGE_SHELL },
  'app.css': { type: STYLE, text: appStyle },
  'link.css': { type: STYLE, text: linkStyle },
  'icon.svg': { type: 'image/svg+xml', text: icon },
  'preact.js': { type: SCRIPT, text: preact },
  'api.js': { type: SCRIPT, text: api },
  'app.js': { type: SCRIPT, text: app },
  'composer.js': { type: SCRIPT, text: composer },
  'conversation.js': { type: SCRIPT, text: conversation },
  'details.js': { type: SCRIPT, text: details },
  'dialogs.js': { type: SCRIPT, text: dialogs },
  'lists.js': { type: SCRIPT, text: lists },
  'parts.js': { type: SCRIPT, text: parts },
}

/** @throws ApiError when there is no such file */
export function assetResponse(name: string): Response {
  const asset = ASSETS[name]
  if (!asset) throw new ApiError('not_found', `there is no file ${name}`)
  return new Response(asset.text, {
    headers: { 'content-type': `${asset.type}; charset=utf-8`, 'cache-control': 'no-cache' },
  })
}
