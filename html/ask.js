// Asks for each file named in a table of class `asked`, and writes into its last cell what the server answered.

"use strict";

const panel = document.getElementById("ask");
const button = panel.querySelector("button");
const status = panel.querySelector("[role=status]");
const rows = [...document.querySelectorAll(".asked tbody tr")];

panel.hidden = false;
button.addEventListener("click", async () => {
  button.disabled = true;
  status.textContent = "Asking …";
  const results = [];
  for (const row of rows) results.push(await ask(row));
  const differing = results.filter((fits) => !fits).length;
  status.textContent = differing === 0
    ? `${rows.length} of ${rows.length} answers as expected.`
    : `${rows.length - differing} of ${rows.length} answers as expected, ${differing} otherwise.`;
  button.disabled = false;
});

// Whether the answer was the expected one.
async function ask(row) {
  const cell = row.lastElementChild;
  cell.dataset.label = "Answered";
  try {
    const response = await fetch(row.querySelector("a").href, { cache: "no-store" });
    const bytes = (await response.arrayBuffer()).byteLength;
    const type = response.headers.get("content-type");
    const fits = isExpected(row.dataset, response, type, bytes);
    const verdict = document.createElement("span");
    verdict.className = fits ? "fits" : "differs";
    verdict.textContent = fits ? "as expected" : "otherwise";
    const what = [response.status, type ?? "no type", `${bytes}\u00a0bytes`];
    if (response.redirected) what.unshift("redirected");
    cell.replaceChildren(verdict, document.createElement("br"), what.join(", "));
    return fits;
  } catch (error) {
    cell.textContent = `no answer: ${error.message}`;
    return false;
  }
}

function isExpected(expected, response, type, bytes) {
  return response.status === Number(expected.status)
    && (expected.type === undefined || isType(expected.type, type ?? ""))
    && (expected.bytes === undefined || bytes === Number(expected.bytes))
    && response.redirected === (expected.redirected !== undefined);
}

// Whether two types agree; a charset counts only where one is expected.
function isType(expected, answered) {
  const plain = answered.toLowerCase().replace(/[\s"]/g, "");
  return (expected.includes(";") ? plain : plain.split(";")[0]) === expected.replace(" ", "");
}
