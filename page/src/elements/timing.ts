/** Run a function later, once for several calls. */

export function debounced(delayMs: number, run: () => void): () => void {
  let timer = 0;
  return () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(run, delayMs);
  };
}
