// Copy a table as CSV.

// A spreadsheet must not take a name for a formula.
function csvCell(value) {
  if (value == null || Number.isNaN(value)) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const csv = ({ heads, rows }) =>
  [heads.map((head) => csvCell(head)), ...rows.map((line) => line.map(csvCell))]
    .map((line) => line.join(","))
    .join("\n") + "\n";

async function copyTable(table) {
  const text = csv(table);
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // a browser that does not trust pages from disk
    const box = el("textarea", { class: "away", "aria-hidden": "true" });
    box.value = text;
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
  announce(`Copied ${whole(table.rows.length)} rows as CSV.`);
}
