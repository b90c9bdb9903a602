// Sending files to this server in pieces; what has arrived is not sent again.

import { ServerConnection } from '@jupyterlab/services';
import { Api, Begun, Refused } from './api';
import { durationText, sizeText } from './dom';
import { Chosen } from './files';

const AT_ONCE = 4; // files
const TRIES = 20;
const LONGEST_PAUSE = 15_000; // milliseconds
const WINDOW = 15_000; // milliseconds that the rate is taken over

/** Sends the files of one upload from the browser to this server. */
export class Sender {
  private arrived = 0;
  private moves: { at: number; size: number }[] = [];
  private ended = false;
  private trouble = '';
  private readonly total: number;

  constructor(
    private readonly api: Api,
    private readonly begun: Begun,
    private readonly files: Chosen[]
  ) {
    this.arrived = begun.files.reduce((sum, received) => sum + received, 0);
    this.total = begun.size;
  }

  /** Send all of them. */
  async send(): Promise<void> {
    const left = this.files.map((_, index) => index);
    const work = async () => {
      for (let index = left.shift(); index !== undefined; index = left.shift()) {
        await this.sendFile(index);
      }
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    } finally {
      this.ended = true;
    }
  }

  /** Send nothing more. */
  stop(): void {
    this.ended = true;
  }

  /** How much is on this server, in bytes. */
  get received(): number {
    return this.arrived;
  }

  /** How far it is, in one line. */
  line(): string {
    const share = this.total ? Math.floor((100 * this.arrived) / this.total) : 100;
    const parts = [`${share} % of ${sizeText(this.total)} to your server`];
    const rate = this.rate();
    if (this.trouble) {
      parts.push(`waiting: ${this.trouble}`);
    } else if (rate > 0) {
      parts.push(`${sizeText(rate)}/s`, `${durationText((this.total - this.arrived) / rate)} left`);
    }
    return parts.join(' · ');
  }

  private async sendFile(index: number): Promise<void> {
    const { path, file } = this.files[index];
    let offset = this.begun.files[index];
    while (offset < file.size && !this.ended) {
      let content: ArrayBuffer;
      try {
        content = await file.slice(offset, offset + this.begun.piece).arrayBuffer();
      } catch {
        throw new Error(`${path}: it cannot be read any more; it may have changed`);
      }
      const received = await this.piece(index, offset, content);
      this.moved(received - offset);
      offset = received;
    }
  }

  private async piece(index: number, offset: number, content: ArrayBuffer): Promise<number> {
    for (let tries = 1; ; tries += 1) {
      try {
        const received = await this.api.piece(this.begun.id, index, offset, content);
        this.trouble = '';
        return received;
      } catch (problem) {
        if (problem instanceof Refused && problem.status === 409) {
          // It had arrived, and the answer was lost.
          if (problem.received !== undefined && problem.received > offset) {
            return problem.received;
          }
        } else if (!mayHelp(problem)) {
          throw problem;
        }
        if (tries === TRIES || this.ended) {
          throw problem;
        }
        this.trouble = 'the connection to your server is broken';
        await new Promise(resolve =>
          setTimeout(resolve, Math.min(250 * 2 ** tries, LONGEST_PAUSE))
        );
      }
    }
  }

  private moved(size: number): void {
    const now = Date.now();
    this.arrived += size;
    this.moves.push({ at: now, size });
    this.moves = this.moves.filter(({ at }) => now - at < WINDOW);
  }

  private rate(): number {
    if (this.moves.length === 0) {
      return 0;
    }
    const seconds = Math.max((Date.now() - this.moves[0].at) / 1000, 1);
    return this.moves.reduce((sum, { size }) => sum + size, 0) / seconds;
  }
}

function mayHelp(problem: unknown): boolean {
  if (problem instanceof Refused) {
    return problem.status === 422 || problem.status >= 500 && problem.status !== 507;
  }
  return problem instanceof ServerConnection.NetworkError || problem instanceof TypeError;
}
