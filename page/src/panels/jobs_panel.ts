/** Long work: train well, map everything; its progress, time left and results. */

import { cancelJob, startMapping, startTraining } from "../api/client";
import type { Job } from "../api/types";
import { h } from "../elements/dom";
import { duration, percent } from "../elements/numbers";
import { section } from "../elements/section";
import { attempt, type Page } from "../page";

const STATES = { queued: "waiting", running: "running", done: "done", failed: "failed", cancelled: "cancelled" };

export function jobsPanel(page: Page): HTMLElement {
  const list = h("ul", { id: "jobs", class: "jobs" });
  const part = section("jobs", "Train well, map everything", false, startRow(page), list);
  let shown = "";
  page.store.watch(["status"], () => {
    const jobs = page.store.now.status?.jobs ?? [];
    const running = jobs.filter((job) => job.state === "running" || job.state === "queued");
    part.note.textContent = running.length ? `${running.length} running` : "";
    const text = JSON.stringify(jobs);
    if (text === shown) return; // keeps the focus on a button of the list
    shown = text;
    const focused = document.activeElement?.id;
    list.replaceChildren(...jobs.map((job) => jobItem(page, job)));
    if (focused?.startsWith("cancel-")) document.getElementById(focused)?.focus();
  });
  return part.element;
}

function startRow(page: Page): HTMLElement {
  const recipe = h("select", { id: "recipe", "aria-label": "How to train" }, h("option", { value: "auto" }, "auto: the best of several"), h("option", { value: "quick" }, "quick"), h("option", { value: "deep" }, "deep: needs PyTorch"));
  const start = async (run: () => Promise<Job>) => {
    const job = await attempt(page, run);
    if (job) page.tell(`Started: ${job.title}`);
    await page.polling.poll();
  };
  const train = h("button", { type: "button", id: "train", click: () => void start(() => startTraining(recipe.value)) }, "Train well");
  const map = h("button", { type: "button", id: "map-everything", title: "Map every raster of the project with the latest model", click: () => void start(() => startMapping(page.store.now.project.rasters.map(({ id }) => id))) }, "Map everything");
  return h("div", {}, h("div", { class: "row" }, recipe, train), h("div", { class: "row" }, map));
}

function jobItem(page: Page, job: Job): HTMLElement {
  const isOpen = job.state === "running" || job.state === "queued";
  const cancel = () => void attempt(page, () => cancelJob(job.id)).then(() => page.polling.poll());
  return h(
    "li",
    { class: `job ${job.state}` },
    h("div", { class: "row" }, h("strong", {}, job.title), h("span", { class: "space" }), isOpen ? h("button", { type: "button", id: `cancel-${job.id}`, class: "link", "aria-label": `Cancel ${job.title}`, click: cancel }, "Cancel") : null),
    isOpen ? progressBar(job) : null,
    h("p", { class: "hint" }, [describe(job), job.message].filter(Boolean).join(". ")),
    ...job.results.map(({ name, url }) => h("a", { href: url, download: "" }, name)),
  );
}

function progressBar({ title, progress }: Job): HTMLElement {
  return h("progress", { max: 1, value: progress, "aria-label": `Progress of ${title}` });
}

function describe({ state, progress, seconds_left }: Job): string {
  if (state !== "running") return STATES[state];
  const share = progress === null ? STATES.running : percent(progress);
  return seconds_left === null ? share : `${share}, about ${duration(seconds_left)} left`;
}
