/** Open the project and put the page together. */

import "ol/ol.css";
import "./label.css";

import * as api from "./api/client";
import { Problem, words } from "./api/problems";
import type { Project } from "./api/types";
import { byId } from "./elements/dom";
import { listenToKeys } from "./keyboard";
import { Drawing } from "./map/drawing";
import { LabelMap } from "./map/label_map";
import { ReadOut } from "./map/read_out";
import type { Page } from "./page";
import { accuracyPanel } from "./panels/accuracy_panel";
import { classesPanel } from "./panels/classes_panel";
import { exportPanel } from "./panels/export_panel";
import { imagePanel } from "./panels/image_panel";
import { jobsPanel } from "./panels/jobs_panel";
import { conflictList, connectionBanner, tell } from "./panels/notices";
import { predictionPanel } from "./panels/prediction_panel";
import { Suggestions } from "./panels/suggestions_panel";
import { topBar } from "./panels/top_bar";
import { ModelUpdates } from "./state/model_updates";
import { PointEdits } from "./state/point_edits";
import { isBusy, Polling } from "./state/polling";
import { type State, Store } from "./state/store";

function firstState(project: Project): State {
  return {
    project,
    rasterId: project.rasters[0]?.id ?? "",
    points: new Map(),
    unsent: 0,
    conflicts: [],
    undo: project.undo,
    redo: project.redo,
    revision: -1,
    answer: project.classes[0]?.id ?? null,
    tool: "Point",
    connection: "open",
    status: null,
    model: project.model,
    isUpdating: false,
    updateMessage: null,
    isLive: localStorage.getItem("geoseg-live") !== "false",
    view: "classes",
    isPredictionShown: true,
    opacity: 0.6,
    swipe: null,
    suggestions: [],
    suggestionId: null,
    selectedPointId: null,
    annotator: localStorage.getItem("geoseg-annotator") ?? project.annotator,
  };
}

function build(project: Project, paths: Set<string>): Page {
  const store = new Store(firstState(project));
  const edits = new PointEdits(store, tell);
  const map = new LabelMap(byId("map"), store);
  const updates = new ModelUpdates(store, edits, () => map.extent());
  const page: Page = { store, edits, updates, polling: new Polling(store, edits), map, tell };
  const labelled = () => updates.pointsChanged();
  const suggestions = new Suggestions(page, labelled);
  topBar(page);
  byId("panel").append(
    classesPanel(page),
    suggestions.element,
    predictionPanel(page),
    accuracyPanel(page, paths),
    imagePanel(page),
    ...(paths.has("/jobs") ? [jobsPanel(page)] : []),
    ...(paths.has("/export") ? [exportPanel(page)] : []),
  );
  connectionBanner(page);
  conflictList(page);
  const drawing = new Drawing(map.map, store, edits, map, { labelled, tell });
  listenToKeys(page, { drawing, suggestions, readOut: new ReadOut(map.map, store, byId("read-out")) });
  return page;
}

/** Follow the server: connection, view, and tiles that become ready. */
function follow(page: Page): void {
  const { store, map, polling } = page;
  api.onReached((isReached) => {
    if (!isReached) store.set({ connection: "gone" });
    else if (store.now.connection === "gone") void polling.poll();
  });
  map.onViewed(() => {
    void api
      .readFirst(store.now.rasterId, map.extent())
      .then(() => polling.poll())
      .catch(() => {});
  });
  let done = -1;
  store.watch(["status"], () => {
    const { status } = store.now;
    const now = status?.features[store.now.rasterId]?.done ?? -1;
    if (now !== done || (status && isBusy(status))) map.prediction.retry();
    done = now;
  });
}

async function start(): Promise<void> {
  const page = build(await api.readProject(), await api.readPaths());
  await page.edits.pull();
  follow(page);
  void page.edits.flush();
  await page.polling.poll();
  document.body.dataset["ready"] = "true";
}

start().catch((error: unknown) => {
  const banner = byId("banner");
  banner.hidden = false;
  const isRefused = error instanceof Problem && error.status === 401;
  banner.textContent = isRefused ? "Open the address that geoseg label printed: it has the token in it." : `The project cannot be opened. ${words(error)}`;
});
