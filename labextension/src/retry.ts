// Asking this server again where that may help: a connection that broke, a proxy that is busy.

import { ServerConnection } from '@jupyterlab/services';
import { Refused } from './api';

const TRIES = 20;
const FIRST_PAUSE = 500; // milliseconds
const LONGEST_PAUSE = 15_000; // milliseconds

/** Return whether the same request may succeed later. */
export function mayHelp(problem: unknown): boolean {
  if (problem instanceof Refused) {
    // 422: what arrived is not what was sent. 507: the disk is full.
    return problem.status === 422 || (problem.status >= 500 && problem.status !== 507);
  }
  return problem instanceof ServerConnection.NetworkError || problem instanceof TypeError;
}

/**
 * Repeat a request until it succeeds or is refused for good.
 *
 * `pausing` is called before each pause, and may throw to end it; `worth` decides which failures
 * are worth another try.
 */
export async function persistently<T>(
  request: () => Promise<T>,
  pausing: (problem: unknown) => void,
  worth: (problem: unknown) => boolean = mayHelp
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await request();
    } catch (problem) {
      if (tries === TRIES || !worth(problem)) {
        throw problem;
      }
      pausing(problem);
      const pause = Math.min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE);
      await new Promise(resolve => setTimeout(resolve, pause));
    }
  }
}
