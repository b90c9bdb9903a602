// Sending files to this server in pieces; what has arrived is not sent again.

import { Api, Begun, Refused, Upload } from './api';
import { durationText, sizeText } from './dom';
import { Chosen } from './files';
import { mayHelp, persistently } from './retry';

const AT_ONCE = 4; // files
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

  /**
   * Send all of them, and have this server send them on to the store.
   *
   * Return the upload as the server has it then; `null` where the sender was stopped.
   */
  async send(update: boolean): Promise<Upload | null> {
    const left = this.files.map((_, index) => index);
    const work = async () => {
      for (let index = left.shift(); index !== undefined; index = left.shift()) {
        await this.sendFile(index);
      }
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      if (this.ended) {
        return null;
      }
      return await this.persistently(() => this.api.start(this.begun.id, update));
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

  private piece(index: number, offset: number, content: ArrayBuffer): Promise<number> {
    return this.persistently(async () => {
      try {
        return await this.api.piece(this.begun.id, index, offset, content);
      } catch (problem) {
        const received = problem instanceof Refused ? problem.received : undefined;
        if (received !== undefined && received > offset) {
          return received; // It had arrived, and the answer was lost.
        }
        throw problem;
      }
    }, mayHelpPiece);
  }

  private async persistently<T>(
    request: () => Promise<T>,
    worth = mayHelp
  ): Promise<T> {
    const pausing = (problem: unknown) => {
      if (this.ended) {
        throw problem;
      }
      this.trouble = 'the connection to your server is broken';
    };
    const answer = await persistently(request, pausing, worth);
    this.trouble = '';
    return answer;
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

function mayHelpPiece(problem: unknown): boolean {
  // 409: the server still writes the same piece, from a connection that broke.
  return mayHelp(problem) || (problem instanceof Refused && problem.status === 409);
}
