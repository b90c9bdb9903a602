// The uploads of this server, as the panel lists them.

import { Api, inWords, Refused, Said, Upload } from './api';
import { button, element } from './dom';
import { Chosen } from './files';
import { mayHelp } from './retry';
import { Sender } from './sender';

const LOOK = 700; // milliseconds
const SELDOM = 5_000; // milliseconds, where no upload is under way
const SECRETS = 'secrets-found';
const OVER = ['done', 'failed', 'stopped'];

const STATES: Record<Upload['state'], string> = {
  // Another page may be sending it: only the page that sends knows that it does.
  receiving: 'not all of it is on your server; unless another page is sending it, drop the same files again, and it goes on',
  waiting: 'waits for another upload',
  sending: '',
  done: '',
  failed: '',
  stopped: 'stopped'
};

/** The list of uploads, and what is sent to them from this page. */
export class Transfers {
  readonly node = element('div', 'panneuro-Transfers');
  private readonly unknown = element('p', 'panneuro-trouble');
  private readonly shown = new Map<string, Row>();
  private readonly senders = new Map<string, Sender>();
  private readonly removed = new Set<string>();
  private timer = 0;
  private asking = false;

  constructor(
    private readonly api: Api,
    private readonly finished: () => void
  ) {
    this.node.setAttribute('aria-live', 'polite');
    this.node.append(this.unknown);
  }

  /** Show what this server is at, also from before the page was loaded. */
  async refresh(): Promise<void> {
    this.unknown.textContent = '';
    try {
      const { uploads } = await this.api.uploads();
      uploads.forEach(upload => this.show(upload));
    } catch (problem) {
      this.unknown.textContent = `Uploads from before cannot be listed: ${inWords(problem)}`;
    }
    this.look();
  }

  /** Send files into a dataset; fails where that is refused from the beginning. */
  async add(said: Said, files: Chosen[]): Promise<void> {
    const announced = files.map(({ path, file }) => ({
      path,
      size: file.size,
      changed: file.lastModified
    }));
    const begun = await this.api.begin(said, announced);
    if (this.senders.has(begun.id)) {
      throw new Error('these files are on their way already');
    }
    const sender = new Sender(this.api, begun, files);
    this.senders.set(begun.id, sender);
    this.show(begun);
    this.look();
    void this.send(begun.id, sender, said.update);
  }

  dispose(): void {
    window.clearTimeout(this.timer);
    this.senders.forEach(sender => sender.stop());
  }

  private async send(id: string, sender: Sender, update: boolean): Promise<void> {
    let started: Upload | null = null;
    let problem: unknown = null;
    try {
      started = await sender.send(update);
    } catch (failure) {
      problem = failure;
    }
    // Until here the upload counts as on its way, also while the server is asked to go on with it.
    if (this.senders.get(id) !== sender) {
      return;
    }
    this.senders.delete(id);
    if (started !== null) {
      this.show(started);
    } else if (problem !== null) {
      this.shown.get(id)?.trouble(inWords(problem));
    }
    this.look();
  }

  private show(upload: Upload): void {
    if (this.removed.has(upload.id)) {
      return; // An answer from before it was removed.
    }
    const known = this.shown.get(upload.id);
    const row = known ?? new Row(upload.dataset);
    if (known === undefined) {
      this.shown.set(upload.id, row);
      this.node.prepend(row.node);
    }
    const over = row.over;
    row.update(upload, this.senders.get(upload.id), {
      remove: () => void this.remove(upload.id),
      again: (update, secrets) => void this.again(upload.id, update, secrets)
    });
    if (upload.state === 'done' && !over) {
      this.finished();
    }
  }

  private async again(id: string, update: boolean, secrets: boolean): Promise<void> {
    try {
      this.show(await this.api.start(id, update, secrets));
    } catch (problem) {
      this.shown.get(id)?.trouble(inWords(problem));
    }
    this.look();
  }

  private async remove(id: string): Promise<void> {
    this.senders.get(id)?.stop();
    this.senders.delete(id);
    try {
      await this.api.end(id);
    } catch (problem) {
      // Where it is gone already, there is nothing to stop: this server was started anew, say.
      if (!(problem instanceof Refused && problem.status === 404)) {
        this.shown.get(id)?.trouble(`It stays: ${inWords(problem)}`);
        return;
      }
    }
    this.removed.add(id);
    this.shown.get(id)?.node.remove();
    this.shown.delete(id);
  }

  private look(): void {
    window.clearTimeout(this.timer);
    const rows = Array.from(this.shown.values());
    if (this.asking || !rows.some(row => row.moves)) {
      return;
    }
    const pause = rows.some(row => row.underWay) ? LOOK : SELDOM;
    this.timer = window.setTimeout(() => void this.ask(), pause);
  }

  private async ask(): Promise<void> {
    this.asking = true;
    try {
      await this.askAll();
    } finally {
      this.asking = false;
      this.look();
    }
  }

  private async askAll(): Promise<void> {
    for (const [id, row] of this.shown) {
      if (row.moves) {
        try {
          this.show(await this.api.upload(id));
        } catch (problem) {
          if (mayHelp(problem)) {
            // Nobody answered; the upload goes on without being looked at.
            row.say(inWords(problem));
          } else {
            row.trouble(inWords(problem));
          }
        }
      }
    }
  }
}

interface Acts {
  remove: () => void;
  again: (update: boolean, allowSecrets: boolean) => void;
}

/** One upload. */
class Row {
  readonly node: HTMLElement;
  over = false;
  /** Whether its state may still change. */
  moves = true;
  /** Whether something is on its way, as far as this page knows. */
  underWay = true;
  private revision = -1;
  private failure = '';
  private readonly bar = element('progress');
  private readonly said = element('div', 'panneuro-said');
  private readonly buttons = element('div', 'panneuro-buttons');
  private drawn = '';

  constructor(dataset: string) {
    this.node = element(
      'div',
      'panneuro-Transfer',
      element('div', 'panneuro-name', dataset),
      this.bar,
      this.said,
      this.buttons
    );
    this.bar.max = 1;
  }

  update(upload: Upload, sender: Sender | undefined, acts: Acts): void {
    // Answers overtake each other: one of an earlier state says nothing any more.
    if (upload.revision < this.revision) {
      return;
    }
    if (upload.revision > this.revision || sender !== undefined) {
      this.failure = '';
    }
    this.revision = upload.revision;
    const coming = upload.state === 'receiving' && sender !== undefined;
    this.over = OVER.includes(upload.state);
    this.moves = !this.over && this.failure === '';
    this.underWay = this.moves && (coming || upload.state !== 'receiving');
    const received = sender?.received ?? upload.received;
    const whole = 2 * Math.max(upload.size, 1);
    this.bar.value = upload.state === 'done' ? 1 : (received + upload.sent) / whole;
    this.bar.hidden = this.over;
    this.node.dataset.state = this.failure ? 'failed' : upload.state;
    const line = coming ? sender.line() : upload.line && `${upload.line} · to the store`;
    const sentences = [
      this.failure || line || upload.problem || upload.said || STATES[upload.state]
    ];
    this.said.replaceChildren(
      ...[...sentences, ...upload.notes].map(text => element('div', '', text))
    );
    this.draw(upload, acts);
  }

  trouble(text: string): void {
    this.failure = text;
    this.moves = false;
    this.node.dataset.state = 'failed';
    this.say(text);
  }

  say(text: string): void {
    this.said.replaceChildren(element('div', '', text));
  }

  private draw({ state, code, update, allowed }: Upload, acts: Acts): void {
    // Not at every look: a button that is replaced cannot be clicked.
    if (state + code === this.drawn) {
      return;
    }
    this.drawn = state + code;
    this.buttons.replaceChildren();
    if (state === 'failed' && code === SECRETS) {
      this.buttons.append(button('Upload all the same', () => acts.again(update, true)));
    } else if (state === 'failed') {
      this.buttons.append(
        button('Try again', () => acts.again(false, allowed)),
        button('Update what is there', () => acts.again(true, allowed))
      );
    }
    this.buttons.append(button(this.over ? 'Remove from list' : 'Stop', acts.remove));
  }
}
