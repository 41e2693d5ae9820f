"use strict";
(async () => {
  const at = (id) => document.getElementById(id);
  const ask = async (address) => {
    const reply = await fetch(address);
    const content = await reply.json();
    if (!reply.ok) throw new Error(content.error);
    return content;
  };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const element = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text }, more);
  const many = (count, one, several = `${one}s`) => `${count} ${count === 1 ? one : several}`;

  const shown = await ask("collection");
  let scenes = [], number = -1, scene = null, chosen = null, order = [], stepped = 0;
  const arms = ["a", "b"];
  const score = { a: 0.3, b: 0.3 };

  // ---- what is compared
  const run = (letter) => {
    const arm = at(`arm-${letter}`).value;
    const fits = (one) => one.arm === arm && (!one.detector || one.detector === at("detector").value)
      && (!one.seed || one.seed === at("seed").value);
    return arm === "" ? -1 : shown.runs.findIndex(fits);
  };
  const options = (select, values, none) => {
    select.replaceChildren(...values.map((value) => element("option", value, { value })));
    if (none) select.prepend(element("option", "none", { value: "" }));
    select.parentElement.hidden = values.length < (none ? 1 : 2);
  };
  const unique = (key, of = shown.runs) => [...new Set(of.map((one) => one[key]))].filter(Boolean);
  const chooseArms = () => {
    const names = unique("arm", shown.runs.filter((one) => !one.detector || one.detector === at("detector").value));
    const before = arms.map((letter) => at(`arm-${letter}`).value);
    options(at("arm-a"), names);
    options(at("arm-b"), names, true);
    at("arm-b").parentElement.hidden = names.length < 2;
    at("arm-a").value = names.includes(before[0]) ? before[0] : names[0];
    at("arm-b").value = names.includes(before[1]) ? before[1] : names.length > 1 ? names.at(-1) : "";
  };
  const active = () => arms.filter((letter) => run(letter) >= 0);
  const query = () => active().map((letter) => `${letter}=${run(letter)}&${letter}_score=${score[letter]}`).join("&");
  const layer = (letter) => scene?.arms[active().indexOf(letter)];

  // ---- boxes, by score
  const kept = (letter) => {
    const found = layer(letter);
    return found ? found.scores.flatMap((value, k) => (value >= score[letter] ? [k] : [])) : [];
  };
  const styles = { truth: ["--truth", []], a: ["--a", [5, 2]], b: ["--b", [2, 2]] };
  const boxesOf = (letter) => {
    if (!scene || !at(`show-${letter}`).checked) return [];
    if (letter === "truth") return (scene.truth?.boxes ?? []).map((box, k) => ({ letter, k, box }));
    return kept(letter).map((k) => ({ letter, k, box: layer(letter).boxes[k] }));
  };
  const count = (letter) => {
    const found = layer(letter);
    const text = at(`counts-${letter}`);
    if (run(letter) < 0) return text.replaceChildren("No such run: choose another detector, seed or arm.");
    if (!found) return text.replaceChildren(scene ? "This scene was not searched." : "");
    const shownNow = kept(letter);
    if (!found.verdict) return text.replaceChildren(element("b", shownNow.length), ` of ${found.scores.length} boxes`);
    const hits = shownNow.filter((k) => found.verdict[k] === 1).length;
    const alarms = shownNow.filter((k) => found.verdict[k] === 0).length;
    const ships = scene.truth.ignore.filter((flag) => !flag).length;
    return text.replaceChildren(
      element("b", hits), hits === 1 ? " hit, " : " hits, ", element("b", alarms), alarms === 1 ? " false alarm, " : " false alarms, ",
      element("b", ships - hits), " missed");
  };
  const redraw = () => {
    const layers = ["truth", "a", "b"].map((letter) => {
      const [name, dash] = styles[letter];
      return { boxes: boxesOf(letter).map((one) => one.box), colour: colour(name), dash };
    });
    view.draw(layers);
    arms.forEach(count);
    if (scene?.truth) {
      const ignored = scene.truth.ignore.filter(Boolean).length;
      const ships = scene.truth.ignore.length - ignored;
      at("counts-truth").textContent = `${many(ships, "ship")}${ignored ? `, ${ignored} not counted` : ""} · a hit from IoU ${shown.iou}`;
    } else at("counts-truth").textContent = "Not known for this scene.";
    at("disagree").disabled = !scene || (active().length < 2 && !scene.truth);
    order = ["truth", "a", "b"].flatMap(boxesOf).sort((one, two) => one.box[1] - two.box[1] || one.box[0] - two.box[0]);
    for (const id of ["box-previous", "box-next"]) at(id).disabled = !order.length;
  };

  // ---- a box at full resolution
  const degrees = (value, [plus, minus]) => `${Math.abs(value).toFixed(5)}° ${value < 0 ? minus : plus}`;
  const chip = (one) => {
    chosen = one;
    at("chip").hidden = !one;
    at("hint").hidden = !!one;
    view.mark(one?.box ?? null);
    if (!one) return;
    const { letter, k, box } = one;
    const [width, height] = scene.size;
    const size = [box[2] - box[0], box[3] - box[1]];
    const side = Math.round(Math.min(512, width, height, Math.max(64, 2 * Math.max(...size))));
    const start = (low, high, extent) => Math.max(0, Math.min(extent - side, Math.round((low + high - side) / 2)));
    const [x, y] = [start(box[0], box[2], width), start(box[1], box[3], height)];
    const name = letter === "truth" ? "truth" : `${letter.toUpperCase()}: ${at(`arm-${letter}`).value}`;
    // without its image a scene has boxes alone
    at("chip-image").parentElement.hidden = !scene.levels;
    if (scene.levels) at("chip-image").src = `chip/${number}/${x}/${y}/${x + side}/${y + side}`;
    at("chip-image").alt = `${side} by ${side} pixels of the scene around a box of ${name}`;
    const outline = at("chip-boxes");
    outline.setAttribute("viewBox", `${x} ${y} ${side} ${side}`);
    outline.replaceChildren(...["truth", "a", "b"].flatMap(boxesOf).map(({ letter: own, box: [x1, y1, x2, y2] }) => {
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      for (const [key, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1, class: own })) rect.setAttribute(key, value);
      return rect;
    }));
    const found = letter === "truth" ? scene.truth : layer(letter);
    const facts = [["Of", name]];
    if (letter === "truth") {
      const by = arms.filter((arm) => kept(arm).some((n) => layer(arm).claims?.[n] === k)).map((arm) => arm.toUpperCase());
      facts.push(["Ship", scene.truth.ignore[k] ? "not counted" : by.length ? `hit by ${by.join(" and ")}` : "missed"]);
    } else {
      facts.push(["Score", found.scores[k].toFixed(3)]);
      const words = { 1: "hit", 0: "false alarm", "-1": "not counted" };
      if (found.verdict) facts.push(["Verdict", words[found.verdict[k]]]);
    }
    facts.push(["Size", `${size[0].toFixed(1)} × ${size[1].toFixed(1)} px`]);
    const [lon, lat, across, down] = found.ground?.[k] ?? [];
    if (across != null) facts.push(["", `${across.toFixed(0)} × ${down.toFixed(0)} m`]);
    if (lon != null) facts.push(["Place", `${degrees(lat, "NS")}, ${degrees(lon, "EW")}`]);
    facts.push(["Pixels", `x ${box[0].toFixed(1)} to ${box[2].toFixed(1)}, y ${box[1].toFixed(1)} to ${box[3].toFixed(1)}`]);
    at("chip-facts").replaceChildren(...facts.flatMap(([term, value]) => [element("dt", term), element("dd", value)]));
  };
  const pick = ([x, y], reach) => {
    const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
    const inside = ({ box }) => box[0] - reach <= x && x <= box[2] + reach && box[1] - reach <= y && y <= box[3] + reach;
    // the smallest, and of equal ones what is drawn on top; a second click takes the next below
    const under = ["b", "a", "truth"].flatMap(boxesOf).filter(inside).sort((one, two) => area(one) - area(two));
    const before = under.findIndex((one) => one.letter === chosen?.letter && one.k === chosen?.k);
    chip(under.length ? under[(before + 1) % under.length] : null);
  };
  const step = (by) => {
    if (!order.length) return;
    const before = order.findIndex((one) => one.letter === chosen?.letter && one.k === chosen?.k);
    const next = order[before < 0 ? (by > 0 ? 0 : order.length - 1) : (before + by + order.length) % order.length];
    view.show(next.box);
    chip(next);
  };

  // ---- scenes
  const list = () => {
    const wanted = at("filter").value.trim().toLowerCase();
    const fits = scenes.flatMap((one, k) => (one.name.toLowerCase().includes(wanted) ? [[one, k]] : []));
    at("scenes").replaceChildren(...fits.slice(0, 300).map(([one, k]) => {
      const button = element("button", one.name, { type: "button" });
      const letters = active().map((letter) => letter.toUpperCase());
      const found = one.found.map((total, n) => `${letters[n]} ${total ?? "–"}`);
      const truth = one.truth === null ? [] : [many(one.truth, "ship")];
      button.append(element("small", [`${one.size[0]} × ${one.size[1]} px`, ...truth, ...found].map((part) => part.replaceAll(" ", "\u00a0")).join(" · ")));
      button.setAttribute("aria-current", String(k === number));
      button.addEventListener("click", () => open(k));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
    at("more").textContent = fits.length > 300 ? `and ${fits.length - 300} more: type a part of the name` : fits.length ? "" : "no scene of this name";
  };
  let latest = 0;
  const refresh = async () => {
    const mine = ++latest;
    try {
      const content = await ask(`scenes?${query()}`);
      // answers may come in another order than the questions: an older one must not replace a newer
      if (mine !== latest) return;
      scenes = content.scenes;
      for (const letter of arms) at(`score-${letter}`).max = Math.ceil(content.highest_score);
      list();
    } catch (error) { trouble(error.message); }
  };
  const trouble = (words) => {
    at("trouble").textContent = words;
    at("trouble").hidden = !words;
  };
  const open = async (k, place = null) => {
    const wanted = (number = (k + scenes.length) % scenes.length);
    location.replace(`#${number}`);
    at("name").textContent = scenes[number].name;
    at("said").textContent = "";
    list();
    // within the list: the page itself stays where it is
    const [frame, item] = [at("scenes"), at("scenes").querySelector('[aria-current="true"]')?.parentElement];
    if (item) frame.scrollTop = Math.min(item.offsetTop, Math.max(frame.scrollTop, item.offsetTop + item.offsetHeight - frame.clientHeight));
    const content = await load(wanted);
    if (!content) return;
    view.open({ number, width: content.size[0], height: content.size[1], levels: content.levels ?? 0 });
    if (place) view.show(place.box);
  };
  const load = async (wanted) => {
    try {
      const content = await ask(`scene/${wanted}?${query()}`);
      if (wanted !== number) return null;
      scene = content;
      stepped = 0;
      chip(null);
      trouble(content.error ?? "");
      const radiometry = content.radiometry ? `radiometry ${content.radiometry}` : "";
      at("facts").textContent = [content.image, `${content.size[0]} × ${content.size[1]} px`, radiometry, content.note].filter(Boolean).join(" · ");
      redraw();
      return content;
    } catch (error) {
      if (wanted !== number) return null;
      scene = null;
      trouble(error.message);
      redraw();
      return null;
    }
  };
  const disagree = async () => {
    if (at("disagree").disabled) return;
    try {
      let answer = await ask(`disagreements/${number}?${query()}`);
      if (stepped >= answer.places.length) {
        if (answer.next_scene === null && !answer.places.length) {
          at("said").textContent = "They differ nowhere at these scores.";
          return;
        }
        if (answer.next_scene !== null) {
          await open(answer.next_scene);
          answer = await ask(`disagreements/${number}?${query()}`);
        }
        stepped = 0;
      }
      const place = answer.places[stepped++];
      view.show(place.box);
      chip(order.find(({ box }) => box.every((edge, k) => edge === place.box[k])) ?? null);
      view.mark(place.box);
      at("said").textContent = `${stepped} of ${answer.places.length} in this scene: ${place.words}`;
    } catch (error) { trouble(error.message); }
  };

  // ---- controls
  const view = new SceneView(at("canvas"), {
    tilePx: shown.tile_px,
    onPick: pick,
    onTrouble: trouble,
    onMove: (point) => {
      const inside = point && scene && point[0] >= 0 && point[1] >= 0 && point[0] < scene.size[0] && point[1] < scene.size[1];
      at("cursor").textContent = inside ? `x ${Math.floor(point[0])}, y ${Math.floor(point[1])}` : "";
    },
  });
  const changed = async () => {
    for (const letter of arms) {
      at(`label-${letter}`).textContent = at(`arm-${letter}`).value;
      at(`layer-${letter}`).hidden = at(`arm-${letter}`).value === "";
    }
    await refresh();
    if (number >= 0) await load(number);
  };
  at("title").textContent = shown.title;
  document.title = `${shown.title} – osm view`;
  at("kind").textContent = `${shown.kind} · ${many(shown.scenes, "scene")}${shown.runs.length > 1 ? ` · ${shown.runs.length} runs` : ""}`;
  at("notes").replaceChildren(...shown.notes.map((note) => element("li", note)));
  at("layer-truth").hidden = !shown.has_truth;
  options(at("detector"), unique("detector"));
  options(at("seed"), unique("seed"));
  chooseArms();
  at("choice").hidden = [...at("choice").children].every((label) => label.hidden);
  for (const id of ["seed", "arm-a", "arm-b"]) at(id).addEventListener("change", changed);
  at("detector").addEventListener("change", () => { chooseArms(); changed(); });
  for (const letter of arms) {
    at(`score-${letter}`).addEventListener("input", (event) => {
      score[letter] = Number(event.target.value);
      at(`value-${letter}`).textContent = score[letter].toFixed(2);
      stepped = 0;
      redraw();
    });
    at(`score-${letter}`).addEventListener("change", refresh);
  }
  for (const letter of ["truth", "a", "b"]) at(`show-${letter}`).addEventListener("change", redraw);
  at("filter").addEventListener("input", list);
  const actions = {
    previous: () => open(number - 1), next: () => open(number + 1), in: () => view.zoom(1.5), out: () => view.zoom(1 / 1.5),
    fit: () => view.fit(), full: () => view.full(), "box-next": () => step(1), "box-previous": () => step(-1), disagree,
  };
  for (const [id, act] of Object.entries(actions)) at(id).addEventListener("click", act);
  const keys = { n: "box-next", p: "box-previous", d: "disagree", "[": "previous", "]": "next" };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(input|select)$/i.test(event.target.tagName)) return;
    if (keys[event.key.toLowerCase()]) actions[keys[event.key.toLowerCase()]]();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  await changed();
  const asked = Number(location.hash.slice(1));
  await open(Number.isInteger(asked) && asked < scenes.length ? asked : 0);
})();
