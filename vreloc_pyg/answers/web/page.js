// What all pages of results share. `results` are moments with a rank, a video, start_s, end_s, score and verdict.
const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id), clock = s => new Date(1000 * s).toISOString().slice(11, 23);
const ratings = new Map();  // by rank: whether it is right
let chosen = null;  // the result that was played last

function make(kind, name, text) {
  const element = document.createElement(kind);
  element.className = name;
  if (text !== undefined) element.textContent = text;  // never as HTML: names of files may hold any
  return element;
}

function press(text, act) {
  const button = make("button", "", text);
  button.addEventListener("click", event => act(event, button));
  return button;
}

function choose(one) {
  chosen = one;
  document.querySelectorAll(".result, .card").forEach(e => e.classList.toggle("on", Number(e.dataset.rank) === one.rank));
}

function rate(one, right) {
  ratings.set(one.rank, right);
  document.querySelectorAll(`[data-rate="${one.rank}"]`).forEach(button => {
    const said = (button.dataset.right === "true") === right;
    button.classList.toggle("on", said);
    button.setAttribute("aria-pressed", said);
  });
  at("ratings").disabled = false;
}

function judges(one) {
  return [true, false].map(right => {
    const button = press(right ? "right" : "wrong", () => rate(one, right));
    button.dataset.rate = one.rank;
    button.dataset.right = right;
    return button;
  });
}

function link(text, target, name) {
  const found = make("a", "button", text);
  found.href = target;
  if (name) found.download = name; else { found.target = "_blank"; found.rel = "noopener"; }
  return found;
}

function picture(one) {
  const image = new Image();
  image.src = one.thumbnail;
  image.alt = "";
  return image;
}

function save(name, kind, text) {
  const file = make("a", "");
  file.href = URL.createObjectURL(new Blob([text], {type: kind}));
  file.download = name;
  file.click();
  URL.revokeObjectURL(file.href);
}

// What a page does with its results: play(one) plays one, pause() plays and pauses, exported() is kept as JSON.
function start(results, query, play, pause, exported) {
  at("export").addEventListener("click", () => save("answer.json", "application/json", JSON.stringify(exported(), null, 2)));
  at("ratings").addEventListener("click", () => {
    const stem = path => path.split(/[\\/]/).pop().replace(/\.[^.]*$/, ""), cell = text => `"${text.replaceAll('"', '""')}"`;
    const rows = results.filter(one => ratings.get(one.rank)).map(one =>
      [cell(stem(one.video)), Number(one.start_s.toFixed(3)), Number(one.end_s.toFixed(3)), cell(stem(query))].join(","));
    save("annotations.csv", "text/csv", ["video,start_s,end_s,label", ...rows, ""].join("\n"));
  });
  document.addEventListener("keydown", event => {
    if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const result = results[Number(event.key) - 1];
    if (result) play(result);
    else if (chosen && (event.key === "r" || event.key === "w")) rate(chosen, event.key === "r");
    else if (event.key === " " && !event.target.matches("button, a, video, summary")) { event.preventDefault(); pause(); }
  });
  if (window.self !== window.top) {  // the page around it has a title, and leaves room for all of it
    at("title").remove();
    if (window.frameElement) {
      const fit = () => { window.frameElement.style.height = `${document.body.offsetHeight + 80}px`; };
      new ResizeObserver(fit).observe(document.body);
      fit();
    }
  }
}
