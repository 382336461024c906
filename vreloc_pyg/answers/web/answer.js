// The page of two videos: players, the score along the reference, and a row for each segment.
const player = at("reference"), query = at("query"), svg = at("timeline"), verdict = at("verdict");
const results = data.segments.map(one => ({...one, video: data.reference}));
const said = {"sure": "Sure: best match at ", "maybe": "Maybe: nearest at ", "not found": "Not found. Nearest at "}[data.verdict] || "Best match at ";
const basis = data.calibration_pairs === null ? "" : ` (how sure rests on ${data.calibration_pairs} pairs of videos)`;
verdict.textContent = (results.length ? said + clock(results[0].start_s) : "Not found: the reference does not seem to show this action") + basis;
verdict.classList.toggle("no", !data.match);
const x = s => 1000 * s / data.reference_duration_s;
function draw(kind, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  svg.append(element);
  return element;
}
draw("rect", {x: 0, y: 0, width: 1000, height: 100, fill: "#f5f6fa"});
const low = Math.min(...data.curve), high = Math.max(...data.curve), range = high - low || 1;
draw("polyline", {class: "curve", fill: "none", stroke: "#4a6fd8", "stroke-width": 2, "vector-effect": "non-scaling-stroke",
  points: data.curve.map((v, i) => `${x((i + .5) * data.curve_step_s)},${95 - 90 * (v - low) / range}`).join(" ")});
for (const s of [...results].reverse())  // the best on top
  draw("rect", {class: "segment", x: x(s.start_s), width: x(s.end_s - s.start_s), y: 104, height: 22,
    fill: s.rank > 1 ? "#9db4ee" : "#2b8a3e", stroke: "#fff", "vector-effect": "non-scaling-stroke", "data-rank": s.rank});
const thickness = 34 / Math.max(20, data.proposals.length);
data.proposals.forEach(([start, end], rank) => draw("rect", {class: "proposal", x: x(start), width: x(end - start),
  y: 130 + rank * thickness, height: .75 * thickness, fill: "#4a6fd8", opacity: 1 - .7 * rank / data.proposals.length}));
const needle = draw("rect", {x: 0, y: 0, width: 2, height: 165, fill: "#d33"});
player.addEventListener("timeupdate", () => needle.setAttribute("x", x(player.currentTime)));
svg.addEventListener("click", event => {
  const box = svg.getBoundingClientRect();
  player.currentTime = data.reference_duration_s * (event.clientX - box.left) / box.width;
});
let until = null;
player.addEventListener("timeupdate", () => { if (until !== null && player.currentTime >= until) { player.pause(); until = null; } });
function play(s) {
  choose(s);
  player.currentTime = s.start_s;
  until = s.end_s;
  player.play().catch(() => {});
}
for (const s of results) {
  const row = make("div", "row"), button = make("button", "result");
  button.dataset.rank = s.rank;
  button.append(make("span", "rank", s.rank));
  if (s.thumbnail) button.append(picture(s));
  button.append(make("span", "time", `${clock(s.start_s)} – ${clock(s.end_s)}`));
  button.append(make("span", "score", (s.verdict ? s.verdict + ", " : "") + `score ${s.score.toFixed(3)}`));
  button.addEventListener("click", () => play(s));
  row.append(button, ...judges(s));
  if (s.clip) row.append(link("save clip", s.clip, "clip.mp4"));
  else if (!player.src.startsWith("data:")) row.append(link("open clip", `${player.src}#t=${s.start_s},${s.end_s}`));
  at("results").append(row);
}
if (results.length && !results[0].clip) {
  at("cutting").append("Clips of all results: export them, then ", make("code", "", "vreloc cut answer.json --output clips"));
}
start(results, data.query, play, () => player.paused ? player.play() : player.pause(), () => {
  const {curve, curve_step_s, proposals, poses, ...answer} = data;
  answer.segments = answer.segments.map(({thumbnail, clip, ...s}) => ({...s, right: ratings.get(s.rank) ?? null}));
  return answer;
});

// Poses over a video: for each frame of a steady rate 13 joints as shares of the picture, or none.
const LIMBS = [[1, 2], [1, 3], [3, 5], [2, 4], [4, 6], [1, 7], [2, 8], [7, 8], [7, 9], [9, 11], [8, 10], [10, 12]];
function overlay(video, poses) {
  const bytes = Uint8Array.from(atob(poses.joints), c => c.charCodeAt(0)), values = new Uint16Array(bytes.buffer);
  const canvas = make("canvas", ""), pen = canvas.getContext("2d");
  video.parentElement.append(canvas);
  const show = () => {
    canvas.width = video.clientWidth;
    canvas.height = video.clientHeight;
    const first = 26 * Math.floor((video.currentTime - poses.start_s) * poses.rate), joints = values.subarray(first, first + 26);
    canvas.dataset.shown = at("overlay").checked && first >= 0 && joints.length === 26 && joints[0] > 0;
    if (canvas.dataset.shown === "false") return;
    const place = j => [0, 1].map(d => ((joints[2 * j + d] - 1) / 32767 - .5) * (d ? canvas.height : canvas.width));
    pen.lineWidth = Math.max(2, canvas.height / 120);
    pen.strokeStyle = pen.fillStyle = "#ff2d95";
    const [head, left, right] = [0, 1, 2].map(place), neck = [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2];
    for (const [from, to] of [[head, neck], ...LIMBS.map(pair => pair.map(place))]) {
      pen.beginPath(); pen.moveTo(...from); pen.lineTo(...to); pen.stroke();
    }
    for (let j = 0; j < 13; j++) { pen.beginPath(); pen.arc(...place(j), 1.3 * pen.lineWidth, 0, 7); pen.fill(); }
  };
  const follow = () => { show(); if (!video.paused && !video.ended) requestAnimationFrame(follow); };
  for (const event of ["loadeddata", "seeked", "pause", "timeupdate"]) video.addEventListener(event, show);
  video.addEventListener("play", follow);
  new ResizeObserver(show).observe(video);
  at("overlay").addEventListener("change", show);
  at("poses").hidden = false;
}
for (const [role, poses] of Object.entries(data.poses)) if (poses) overlay(at(role), poses);

query.addEventListener("loadedmetadata", () => { query.currentTime = data.query_start_s; });
if (results.length) {  // the page opens at the best answer
  player.addEventListener("loadedmetadata", () => { player.currentTime = results[0].start_s; }, {once: true});
  choose(results[0]);
}
at("settings").textContent = JSON.stringify({system: data.system, ...data.settings, notes: data.notes}, null, 2);
