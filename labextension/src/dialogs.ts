// Sharing a notebook, and opening a copy of one that is shared.

import { Dialog, showDialog } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { Widget } from '@lumino/widgets';
import { Api, inWords, Session, Shared } from './api';
import { element, field, line, lines, link } from './dom';

const PARAMETER = 'panneuro-copy';
const MOST_SECRETS = 10;

/** A sentence in a dialog with one button. */
export function tell(title: string, ...sentences: string[]): Promise<unknown> {
  const body = new Widget({
    node: element('div', 'panneuro-Told', ...sentences.map(text => element('p', '', text)))
  });
  return showDialog({ title, body, buttons: [Dialog.okButton({ label: 'Close' })] });
}

/** Ask what to say of a notebook, share it, and show where it is. */
export async function share(api: Api, path: string): Promise<Shared | null> {
  let session: Session;
  let preview: Shared;
  try {
    session = await api.session();
    if (!session.may_write) {
      await tell(
        'This notebook cannot be shared here',
        `You cannot write in ${session.project}: ${session.why_not}`
      );
      return null;
    }
    preview = await api.share({ path, dry: true });
  } catch (problem) {
    await tell('This notebook cannot be shared', inWords(problem));
    return null;
  }
  const form = new ShareForm(session, preview);
  for (;;) {
    const answer = await showDialog({
      title: `Share with ${session.project}`,
      // A dialog disposes of its body; the form and what was written in it stay.
      body: new Widget({ node: element('div', '', form.node) }),
      buttons: [Dialog.cancelButton(), Dialog.okButton({ label: 'Share' })],
      focusNodeSelector: '.panneuro-ShareTitle'
    });
    if (!answer.button.accept) {
      return null;
    }
    try {
      const shared = await api.share({ path, ...form.asked() });
      await showShared(shared);
      return shared;
    } catch (problem) {
      await tell('This notebook was not shared', inWords(problem));
    }
  }
}

/** If the page's address asks for it, open a copy of a shared notebook. */
export async function openCopyAsked(api: Api, documents: IDocumentManager, asked: string) {
  const elsewhere = await projectElsewhere(api, asked);
  const answer = await showDialog({
    title: 'Open a copy?',
    body: new Widget({
      node: element(
        'div',
        'panneuro-Told',
        element('p', '', 'A copy of this shared notebook is put among your files:'),
        element('p', 'panneuro-name', asked),
        ...(elsewhere ? [element('p', 'panneuro-Elsewhere', elsewhere)] : []),
        element(
          'p',
          '',
          'It was written by somebody else. Read it before you run it: what it does, it does with ' +
            'your rights.'
        )
      )
    }),
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: 'Open a copy' })]
  });
  if (!answer.button.accept) {
    return;
  }
  try {
    const { path } = await api.copy(asked);
    documents.openOrReveal(path);
  } catch (problem) {
    await tell('There is no copy', inWords(problem));
  }
}

/** A sentence where the notebook belongs to another project than this server's. */
async function projectElsewhere(api: Api, asked: string): Promise<string | null> {
  const project = asked.split('/')[0];
  try {
    const session = await api.session();
    return session.project === project
      ? null
      : `It belongs to the project ${project}, and this server works in ${session.project}: data and ` +
          `packages that it needs may be missing. To open it there, start a server in ${project}.`;
  } catch {
    return null; // opening the copy says what is wrong
  }
}

/** Which copy the page's address asks for; it asks once. */
export function takeCopyAsked(): string | null {
  const address = new URL(window.location.href);
  const asked = address.searchParams.get(PARAMETER);
  if (asked !== null) {
    address.searchParams.delete(PARAMETER);
    window.history.replaceState(window.history.state, '', address.href);
  }
  return asked;
}

/** What a person says of a notebook that they share. */
class ShareForm {
  readonly node = element('div', 'panneuro-ShareForm');
  private readonly name: HTMLInputElement;
  private readonly heading: HTMLInputElement;
  private readonly description: HTMLTextAreaElement;
  private readonly note: HTMLTextAreaElement;
  private readonly datasets: HTMLInputElement;
  private readonly secrets = element('input');

  constructor(session: Session, preview: Shared) {
    this.name = line(preview.name);
    this.heading = line(preview.title, 'In one line');
    this.heading.classList.add('panneuro-ShareTitle');
    this.description = lines(preview.description, 2);
    this.note = lines('', 2);
    this.datasets = line('', `such as ${session.project}/session-12`);
    this.secrets.type = 'checkbox';
    this.node.append(
      ...warnings(preview.secrets, this.secrets),
      field('Name', this.name, `in ${session.project}; a name that is there gets a new version`),
      field('Title', this.heading),
      field('Description', this.description),
      field('Note on this version', this.note),
      facts(session, preview),
      field('Other datasets that it reads', this.datasets, 'names that its code makes up as it runs')
    );
  }

  asked() {
    return {
      name: this.name.value,
      title: this.heading.value,
      description: this.description.value,
      note: this.note.value,
      datasets: this.datasets.value,
      allow_secrets: this.secrets.checked
    };
  }
}

/** Name what looks like a secret, and ask whether it is to be shared. */
function warnings(secrets: string[], agree: HTMLInputElement): HTMLElement[] {
  if (secrets.length === 0) {
    return [];
  }
  const list = element('ul', '', ...secrets.slice(0, MOST_SECRETS).map(one => element('li', '', one)));
  if (secrets.length > MOST_SECRETS) {
    list.append(element('li', '', `and ${secrets.length - MOST_SECRETS} more`));
  }
  const label = element('label', 'panneuro-Check', agree);
  label.append(element('span', '', 'Share it all the same'));
  const warning = element(
    'div',
    'panneuro-Secrets',
    element('p', '', 'This looks like secrets, which everybody who opens the notebook would have:'),
    list,
    label
  );
  warning.setAttribute('role', 'alert');
  return [warning];
}

function facts(session: Session, preview: Shared): HTMLElement {
  const said = element('div', 'panneuro-facts');
  said.append(
    element(
      'p',
      '',
      `Everybody who can read ${session.project} will see it, as it is saved now, with its ` +
        'outputs. A version that is shared stays.'
    )
  );
  if (preview.datasets.length === 0) {
    said.append(element('p', '', 'No dataset of the hub is named in it.'));
  } else {
    const list = element('ul', '');
    list.append(...preview.datasets.map(name => element('li', '', name)));
    said.append(element('p', '', 'Datasets that it uses:'), list);
  }
  const image = preview.image ? `the image ${preview.image} and ` : '';
  said.append(element('p', '', `With it goes ${image}a list of ${preview.packages} packages.`));
  said.append(...preview.notes.map(note => element('p', 'panneuro-note', note)));
  return said;
}

function showShared(shared: Shared): Promise<unknown> {
  const said = shared.new
    ? `${shared.label} is shared.`
    : `${shared.label} is the same already; no new version was made.`;
  const body = new Widget({
    node: element(
      'div',
      'panneuro-Told',
      element('p', '', said),
      element('p', '', link(shared.page, 'Open its page')),
      ...shared.notes.map(note => element('p', 'panneuro-note', note))
    )
  });
  return showDialog({
    title: shared.new ? 'Shared' : 'Shared already',
    body,
    buttons: [Dialog.okButton({ label: 'Close' })]
  });
}
