// The table of all evaluations: heads sort, the filter hides, rows and dots of figures open a genome.
const holder = document.getElementById("table");
if (holder) {
  const body = holder.querySelector("tbody");
  const rows = [...body.rows];
  const genomes = JSON.parse(document.getElementById("genomes").textContent);
  const shown = document.getElementById("genome");
  const value = (row, column) => {
    const text = row.cells[column].textContent;
    const number = parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(number) ? text : number;
  };
  const open = (candidate) => {
    shown.hidden = false;
    shown.textContent = `candidate ${candidate}\n\n` + (genomes[candidate] ?? "its genome stands in journal.jsonl");
    for (const row of rows) row.classList.toggle("chosen", row.cells[0].textContent === candidate);
    shown.scrollIntoView({ behavior: "smooth", block: "nearest" });
  };
  [...holder.querySelectorAll("th")].forEach((head, column) => {
    let down = false;
    head.addEventListener("click", () => {
      down = !down;
      rows.sort((a, b) => {
        const [x, y] = [value(a, column), value(b, column)];
        const order = typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === "number" ? -1 : 1;
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });
  document.getElementById("filter").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = [...row.cells].map((cell) => cell.textContent.toLowerCase()).join(" ");
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) open(row.cells[0].textContent);
  });
  for (const figure of document.querySelectorAll("[data-dots]")) {
    const clouds = figure.dataset.dots.split(",").map((list) => list.split(" "));
    for (const cloud of figure.querySelectorAll('g[id^="dots"]')) {
      const candidates = clouds[(parseInt(cloud.id.slice(4)) || 0) % clouds.length];
      [...cloud.querySelectorAll("use")].forEach((dot, index) => {
        dot.style.cursor = "pointer";
        dot.addEventListener("click", () => open(candidates[index]));
      });
    }
  }
}
