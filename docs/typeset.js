// Typesets formulas: reads {"tex": ..., "display": ...} a line, writes their HTML, as JSON, a line.
// node typeset.js FOLDER_OF_KATEX
const katex = require(require("path").resolve(process.argv[2], "katex.js"))
const lines = require("readline").createInterface({ input: process.stdin })

lines.on("line", line => {
  const { tex, display } = JSON.parse(line)
  let said
  try {
    said = { html: katex.renderToString(tex, { displayMode: display, strict: "error" }) }
  } catch (error) {
    said = { error: error.message }
  }
  process.stdout.write(JSON.stringify(said) + "\n")
})
