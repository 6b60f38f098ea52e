"use strict";
for (const drawing of document.querySelectorAll(".drawing")) {
  const networks = drawing.querySelector(".networks");
  const view = drawing.querySelector(".view");
  const tip = drawing.querySelector(".tip");
  const output = drawing.querySelector("output");
  let scale = 1;
  let difference = -1;

  function zoom(to) {
    scale = Math.min(4, Math.max(0.05, to));
    networks.style.zoom = scale;
    output.textContent = `${Math.round(100 * scale)}%`;
  }

  function fold(frame, folded) {
    frame.classList.toggle("folded", folded);
    frame.querySelector(":scope > .fold").setAttribute("aria-expanded", String(!folded));
  }

  function shade(quantity) {
    drawing.dataset.shade = quantity;
    if (quantity === "kind") return;
    const parts = [...drawing.querySelectorAll("[data-tip]")];
    const most = Math.max(...parts.filter((part) => part.matches(".box")).map((part) => Number(part.dataset[quantity])));
    for (const part of parts) {
      part.style.setProperty("--heat", Math.min(1, Math.sqrt(Number(part.dataset[quantity]) / most)));
    }
  }

  function open(part) {
    for (let frame = part.closest(".frame"); frame; frame = frame.parentElement.closest(".frame")) {
      if (frame.matches(".folded") && frame !== part) fold(frame, false);
    }
  }

  function next() {
    const marked = drawing.querySelectorAll(".view .marked");
    difference = (difference + 1) % marked.length;
    open(marked[difference]);
    marked[difference].scrollIntoView({ block: "center", inline: "center" });
  }

  function fit() {
    zoom(1);
    for (let turn = 0; turn < 3; turn += 1) { // small letters do not shrink evenly
      zoom(Math.min(1, (scale * (view.clientWidth - 22)) / networks.getBoundingClientRect().width));
    }
  }

  const actions = {
    fold: () => drawing.querySelectorAll(".frame.block").forEach((frame) => fold(frame, true)),
    open: () => drawing.querySelectorAll(".frame.folded").forEach((frame) => fold(frame, false)),
    next,
    in: () => zoom(scale * 1.25),
    out: () => zoom(scale / 1.25),
    fit,
  };

  drawing.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.matches(".fold")) fold(button.parentElement, !button.parentElement.matches(".folded"));
    else actions[button.dataset.do]();
  });
  drawing.querySelector("select").addEventListener("change", (event) => shade(event.target.value));
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(scale * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
  }, { passive: false });

  function show(part) {
    tip.hidden = !part;
    if (!part) return;
    const { params, flops } = part.dataset;
    tip.textContent = `${part.dataset.tip} — ${params} % of the parameters, ${flops} % of the FLOPs`;
    const at = part.getBoundingClientRect();
    const below = at.top + 40 + tip.offsetHeight < innerHeight ? Math.min(at.bottom, at.top + 34) + 6 : at.top - tip.offsetHeight - 6;
    tip.style.left = `${Math.max(4, Math.min(at.left, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(4, below)}px`;
  }
  const told = (event) => event.target.closest(".box[data-tip], .frame[data-tip]");
  view.addEventListener("mouseover", (event) => show(told(event)));
  view.addEventListener("focusin", (event) => show(told(event)));
  view.addEventListener("mouseleave", () => show(null));
  view.addEventListener("focusout", () => show(null));
}
