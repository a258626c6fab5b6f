// The table of all rules can be searched and filtered. Without this script it is a plain table.
document.querySelectorAll(".all-rules table").forEach(table => {
  const titles = [...table.tHead.rows[0].cells].map(cell => cell.textContent.trim())
  const rows = [...table.tBodies[0].rows]
  const parts = (row, column) => row.cells[column].textContent.trim().split(/ and |, /)

  const form = document.createElement("form")
  form.className = "filter"
  form.addEventListener("submit", event => event.preventDefault())
  const search = document.createElement("input")
  Object.assign(search, { type: "search", placeholder: "name or word" })
  search.setAttribute("aria-label", "Search the rules")
  form.append(search)

  // One group of boxes a column, one box a value that occurs in it.
  const groups = titles.slice(2).map((title, i) => {
    const column = i + 2
    const values = [...new Set(rows.flatMap(row => parts(row, column)))].sort()
    const group = document.createElement("fieldset")
    const legend = document.createElement("legend")
    legend.textContent = title
    group.append(legend)
    const boxes = values.map(value => {
      const label = document.createElement("label")
      const box = document.createElement("input")
      Object.assign(box, { type: "checkbox", value })
      label.append(box, ` ${value}`)
      group.append(label)
      return box
    })
    form.append(group)
    return { column, boxes }
  })

  const count = document.createElement("p")
  count.setAttribute("role", "status")
  form.append(count)

  // A row is shown if it has the word, and one of the values chosen in each group that has any.
  const update = () => {
    const word = search.value.trim().toLowerCase()
    for (const row of rows) {
      const fits = groups.every(({ column, boxes }) => {
        const chosen = boxes.filter(box => box.checked).map(box => box.value)
        return !chosen.length || parts(row, column).some(part => chosen.includes(part))
      })
      row.hidden = !(fits && row.textContent.toLowerCase().includes(word))
    }
    count.textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} rules`
  }
  form.addEventListener("input", update)
  update()
  table.closest(".all-rules").prepend(form)
})
