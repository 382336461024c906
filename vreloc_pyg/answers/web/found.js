// The page of a library: a grid of moments that play, filters, and each as the next query.
const results = data.moments;
const videos = [...new Set(results.map(one => one.video))], verdicts = [...new Set(results.map(one => one.verdict ?? "-"))];
const counted = verdicts.map(name => `${results.filter(one => (one.verdict ?? "-") === name).length} ${name}`).join(", ");
at("verdict").textContent = results.length
  ? `${results.length} moments in ${videos.length} videos` + (verdicts.join() === "-" ? "" : `: ${counted}`) : "No moment was found";
at("verdict").classList.toggle("no", !results.some(one => one.verdict !== "not found"));
at("asked").textContent = data.asked;
if (data.query_clip) { at("query").src = data.query_clip; at("query").hidden = false; }
for (const note of data.notes) at("notes").append(make("li", "", note));

let playing = null;  // the card that plays, and whether it was clicked
let pinned = false;
function stop() {
  if (playing === null) return;
  playing.querySelector("video").remove();
  playing = null;
  pinned = false;
}
function show(card, one, pin) {
  if (!one.clip || card.hidden) return;
  if (playing !== card) {
    stop();
    const video = make("video", "");
    video.muted = video.loop = video.playsInline = true;
    video.src = one.clip.src;
    if (one.clip.whole) video.addEventListener("timeupdate", () => { if (video.currentTime >= one.end_s) video.currentTime = one.start_s; });
    video.addEventListener("error", () => { card.querySelector(".state").textContent = "cannot be played"; });
    card.querySelector(".play").append(video);
    video.play().catch(() => {});
    playing = card;
  }
  pinned = pin;
}
const cards = results.map(one => {
  const card = make("article", "card"), button = make("button", "play"), about = make("div", "row");
  card.dataset.rank = one.rank;
  button.setAttribute("aria-label", `play result ${one.rank}`);
  button.append(one.thumbnail ? picture(one) : make("span", "none", one.missing));
  button.addEventListener("click", () => { choose(one); if (playing === card && pinned) stop(); else show(card, one, true); });
  button.addEventListener("pointerenter", event => { if (event.pointerType === "mouse" && !pinned) show(card, one, false); });
  button.addEventListener("pointerleave", event => { if (event.pointerType === "mouse" && playing === card && !pinned) stop(); });
  const name = make("div", "name", one.video.split(/[\\/]/).pop());
  name.title = one.video;
  about.append(make("span", "rank", one.rank), make("span", "score", (one.verdict ? one.verdict + ", " : "") + `score ${one.score.toFixed(3)}`));
  const actions = make("div", "row");
  actions.append(...judges(one), press("more like this", (event, like) => more(one, like)));
  if (one.save) actions.append(link("save clip", one.save, "clip.mp4"));
  card.append(button, name, make("div", "time", `${clock(one.start_s)} – ${clock(one.end_s)}`), about, actions, make("div", "state legend"));
  at("results").append(card);
  return card;
});
function more(one, button) {
  if (one.more) {  // a server searches again
    button.disabled = true;
    button.textContent = "searching…";
    window.location.href = one.more;
    return;
  }
  at("command").textContent = one.command;
  at("like").hidden = false;
  at("like").scrollIntoView({block: "nearest"});
}
at("copy").addEventListener("click", () => {
  getSelection().selectAllChildren(at("command"));
  if (navigator.clipboard) navigator.clipboard.writeText(at("command").textContent).catch(() => {});
  else document.execCommand("copy");
});
function filter() {
  const [video, name] = [at("videos").value, at("verdicts").value];
  let shown = 0;
  results.forEach((one, i) => {
    cards[i].hidden = (video !== "" && videos[Number(video)] !== one.video) || (name !== "" && (one.verdict ?? "-") !== name);
    shown += !cards[i].hidden;
    if (cards[i].hidden && playing === cards[i]) stop();
  });
  at("count").textContent = `${shown} of ${results.length} shown`;
}
videos.forEach((name, i) => at("videos").append(new Option(name.split(/[\\/]/).pop(), i)));
for (const name of verdicts) at("verdicts").append(new Option(name, name));
for (const id of ["videos", "verdicts"]) at(id).addEventListener("change", filter);
filter();
if (results.some(one => one.save)) at("cutting").textContent = "and names videos as this page does.";
start(results, data.label, one => { choose(one); show(cards[one.rank - 1], one, true); cards[one.rank - 1].scrollIntoView({block: "nearest"}); },
  () => { const video = playing && playing.querySelector("video"); if (video) video.paused ? video.play() : video.pause(); },
  () => ({about: data.about, moments: results.filter(one => ratings.get(one.rank) !== false).map(
    ({video, start_s, end_s, score, verdict, label}) => ({video, start_s, end_s, score, verdict, label}))}));
at("settings").textContent = JSON.stringify({system: data.system, library: data.library}, null, 2);
