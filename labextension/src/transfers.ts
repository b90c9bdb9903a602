// The uploads of this server, as the panel lists them.

import { Api, inWords, Refused, Said, Upload } from './api';
import { button, element } from './dom';
import { Chosen } from './files';
import { Sender } from './sender';

const LOOK = 700; // milliseconds
const OVER = ['done', 'failed', 'stopped'];

const STATES: Record<Upload['state'], string> = {
  receiving: 'broke off on its way to your server; drop the same files again, and it goes on',
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
  private timer = 0;

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
    try {
      await sender.send();
      if (this.senders.get(id) === sender) {
        this.senders.delete(id);
        this.show(await this.api.start(id, update));
      }
    } catch (problem) {
      this.senders.delete(id);
      this.shown.get(id)?.trouble(inWords(problem));
    }
    this.look();
  }

  private show(upload: Upload): void {
    const known = this.shown.get(upload.id);
    const row = known ?? new Row(upload.dataset);
    if (known === undefined) {
      this.shown.set(upload.id, row);
      this.node.prepend(row.node);
    }
    const over = row.over;
    row.update(upload, this.senders.get(upload.id), {
      remove: () => void this.remove(upload.id),
      again: update => void this.again(upload.id, update)
    });
    if (upload.state === 'done' && !over) {
      this.finished();
    }
  }

  private async again(id: string, update: boolean): Promise<void> {
    try {
      this.show(await this.api.start(id, update));
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
    this.shown.get(id)?.node.remove();
    this.shown.delete(id);
  }

  private look(): void {
    window.clearTimeout(this.timer);
    if (Array.from(this.shown.values()).some(row => row.moves)) {
      this.timer = window.setTimeout(() => void this.ask(), LOOK);
    }
  }

  private async ask(): Promise<void> {
    for (const [id, row] of this.shown) {
      if (row.moves) {
        try {
          this.show(await this.api.upload(id));
        } catch (problem) {
          if (problem instanceof Refused) {
            row.trouble(inWords(problem));
          } else {
            // Nobody answered; the upload goes on without being looked at.
            row.say(inWords(problem));
          }
        }
      }
    }
    this.look();
  }
}

interface Acts {
  remove: () => void;
  again: (update: boolean) => void;
}

/** One upload. */
class Row {
  readonly node: HTMLElement;
  over = false;
  /** Whether it is worth asking how far it is. */
  moves = true;
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
    const coming = upload.state === 'receiving' && sender !== undefined;
    this.over = OVER.includes(upload.state);
    this.moves = coming || upload.state === 'waiting' || upload.state === 'sending';
    const received = sender?.received ?? upload.received;
    const whole = 2 * Math.max(upload.size, 1);
    this.bar.value = upload.state === 'done' ? 1 : (received + upload.sent) / whole;
    this.bar.hidden = this.over;
    this.node.dataset.state = upload.state;
    const line = coming ? sender.line() : upload.line && `${upload.line} · to the store`;
    const sentences = [line || upload.problem || upload.said || STATES[upload.state]];
    this.said.replaceChildren(
      ...[...sentences, ...upload.notes].map(text => element('div', '', text))
    );
    this.draw(upload.state, acts);
  }

  trouble(text: string): void {
    this.moves = false;
    this.node.dataset.state = 'failed';
    this.say(text);
  }

  say(text: string): void {
    this.said.replaceChildren(element('div', '', text));
  }

  private draw(state: Upload['state'], acts: Acts): void {
    // Not at every look: a button that is replaced cannot be clicked.
    if (state === this.drawn) {
      return;
    }
    this.drawn = state;
    this.buttons.replaceChildren();
    if (state === 'failed') {
      this.buttons.append(
        button('Try again', () => acts.again(false)),
        button('Update what is there', () => acts.again(true))
      );
    }
    this.buttons.append(button(this.over ? 'Remove from list' : 'Stop', acts.remove));
  }
}
