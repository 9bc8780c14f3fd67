/** The page's document; scripts create its content. */
export const PAGE_SHELL = `<!doctype html>
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
