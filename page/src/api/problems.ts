/** What can go wrong with a request. */

import type { Conflict } from "./types";

/** The server answered with a problem document. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly conflicts: Conflict[],
  ) {
    super(detail);
    this.name = "Problem";
  }
}

/** No answer came: the server is gone, or the connection broke. */
export class Unreachable extends Error {
  constructor() {
    super("The server does not answer.");
    this.name = "Unreachable";
  }
}

export async function problemOf(response: Response): Promise<Problem> {
  try {
    const document = await response.json();
    return new Problem(response.status, String(document.detail ?? document.title), document.conflicts ?? []);
  } catch {
    return new Problem(response.status, `The server answered ${response.status}.`, []);
  }
}

/** Words for a person about any error of a request. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
