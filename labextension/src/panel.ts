// The panel on the left: where you are, which datasets there are, and files to bring in.

import { Toolbar, ToolbarButton, refreshIcon } from '@jupyterlab/ui-components';
import { Message } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';
import { Api, Dataset, inWords, Said, Session, ToolFiles } from './api';
import { button, element, field, line, lines, link, sizeText } from './dom';
import { Chosen, dropped, picked, withinFolder } from './files';
import { projectIcon } from './icons';
import { sort, Sorted } from './leftout';
import { Transfers } from './transfers';

const STALE = 60_000; // milliseconds
const MOST_SHOWN = 200;
const NAMED = 3; // files of each kind of tool
const LICENCES = ['CC0-1.0', 'CC-BY-4.0', 'CC-BY-NC-4.0', 'PDDL-1.0', 'ODC-By-1.0'];

/** The panel on the left. */
export class ProjectPanel extends Panel {
  private readonly place = element('div', 'panneuro-Place');
  private readonly search = line('', 'Search: name, title, subject, person …');
  private readonly list = element('ul', 'panneuro-Datasets');
  private readonly remarks = element('div');
  private readonly upload: UploadPart;
  private datasets: Dataset[] = [];
  private notes: string[] = [];
  private looked = 0;

  constructor(
    private readonly api: Api,
    private readonly use: (dataset: string) => void,
    private readonly learned: (session: Session) => void
  ) {
    super();
    this.id = 'panneuro-project';
    this.addClass('panneuro-Panel');
    this.title.icon = projectIcon;
    this.title.caption = 'Project: its datasets, and files to bring in';
    this.upload = new UploadPart(api, () => void this.refresh());
    this.search.type = 'search';
    this.search.classList.add('jp-mod-styled', 'panneuro-search');
    this.search.setAttribute('aria-label', 'Search datasets');
    this.search.addEventListener('input', () => this.draw());
    // Said again: a list without bullets is no list to some screen readers.
    this.list.setAttribute('role', 'list');
    this.list.setAttribute('aria-label', 'Datasets');
    const content = new Widget({
      node: element(
        'div',
        'panneuro-content',
        this.place,
        this.upload.node,
        element('h3', '', 'Datasets'),
        this.search,
        this.list,
        this.remarks
      )
    });
    const toolbar = new Toolbar();
    toolbar.addItem('name', new Widget({ node: element('div', 'panneuro-title', 'Project') }));
    toolbar.addItem('space', Toolbar.createSpacerItem());
    toolbar.addItem(
      'refresh',
      new ToolbarButton({
        icon: refreshIcon,
        tooltip: 'Look again',
        onClick: () => void this.refresh()
      })
    );
    this.addWidget(toolbar);
    this.addWidget(content);
  }

  /** Ask anew where we are and what there is. */
  async refresh(): Promise<void> {
    this.looked = Date.now();
    try {
      const session = await this.api.session();
      this.tell(session);
      this.learned(session);
      this.upload.allow(session);
    } catch (problem) {
      this.place.replaceChildren(element('p', 'panneuro-trouble', inWords(problem)));
      this.upload.allow(null);
      return;
    }
    try {
      const found = await this.api.datasets();
      this.datasets = found.datasets;
      this.notes = found.notes;
    } catch (problem) {
      this.notes = [inWords(problem)];
    }
    this.draw();
  }

  protected onAfterShow(message: Message): void {
    super.onAfterShow(message);
    if (Date.now() - this.looked > STALE) {
      void this.refresh();
    }
  }

  dispose(): void {
    this.upload.dispose();
    super.dispose();
  }

  private tell(session: Session): void {
    const level = session.level ? `${session.user}, level ${session.level}` : 'no access any more';
    const also = session.readable.filter(name => name !== session.project);
    this.place.replaceChildren(
      element('div', 'panneuro-name', session.project),
      element('div', '', session.title),
      element('div', 'panneuro-hint', level)
    );
    if (also.length > 0) {
      this.place.append(element('div', 'panneuro-hint', `also read here: ${also.join(', ')}`));
    }
    if (session.problem) {
      this.place.append(element('div', 'panneuro-trouble', session.problem));
    }
    this.place.append(link(`${session.pages}notebooks`, 'Shared notebooks'));
  }

  private draw(): void {
    const wanted = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.datasets.filter(one => {
      const text = Object.values(one).join(' ').toLowerCase();
      return wanted.every(word => text.includes(word));
    });
    const rows = found.slice(0, MOST_SHOWN).map(one => element('li', '', this.row(one)));
    this.list.replaceChildren(...rows);
    this.list.hidden = rows.length === 0; // an empty list is announced as a fault
    const remarks = this.notes.map(note => element('div', 'panneuro-note', note));
    if (found.length === 0) {
      const none = this.datasets.length === 0 ? 'No datasets yet.' : 'None has all these words.';
      remarks.unshift(element('div', 'panneuro-hint', none));
    }
    if (found.length > MOST_SHOWN) {
      const more = `${found.length - MOST_SHOWN} more; search for them`;
      remarks.unshift(element('div', 'panneuro-hint', more));
    }
    this.remarks.replaceChildren(...remarks);
  }

  private row(one: Dataset): HTMLElement {
    const about = [one.format, one.size, one.modality, one.who, one.when].filter(Boolean);
    const row = element(
      'button',
      'panneuro-Dataset',
      element('span', 'panneuro-name', one.name),
      element('span', '', one.title),
      element('span', 'panneuro-hint', about.join(' · ')),
      element('span', 'panneuro-state', one.state)
    );
    row.type = 'button';
    row.title = one.complete
      ? [one.description, 'Click to open it in the notebook'].filter(Boolean).join('\n\n')
      : 'It is not complete, so it cannot be opened yet';
    row.disabled = !one.complete;
    row.addEventListener('click', () => this.use(one.name));
    return row;
  }
}

/** Where files are dropped, and how far they are. */
class UploadPart {
  readonly node = element('div', 'panneuro-Upload');
  private readonly transfers: Transfers;
  private readonly zone = element('div', 'panneuro-Zone');
  private readonly form = element('div');
  private project = '';
  private toolFiles: ToolFiles[] = [];

  constructor(api: Api, finished: () => void) {
    this.transfers = new Transfers(api, finished);
    this.node.append(element('h3', '', 'Bring files in'), this.zone, this.form);
    this.node.append(this.transfers.node);
    this.zone.addEventListener('dragover', event => {
      event.preventDefault();
      this.zone.classList.toggle('panneuro-mod-over', this.project !== '');
    });
    this.zone.addEventListener('dragleave', () => this.zone.classList.remove('panneuro-mod-over'));
    this.zone.addEventListener('drop', event => {
      event.preventDefault();
      event.stopPropagation();
      this.zone.classList.remove('panneuro-mod-over');
      if (this.project !== '' && event.dataTransfer !== null) {
        void this.take(dropped(event.dataTransfer));
      }
    });
  }

  /** Take files, or say why not; nothing is known of the session where it is `null`. */
  allow(session: Session | null): void {
    if (session === null || !session.may_write) {
      this.project = '';
      const why = session === null ? '' : `Nothing can be brought in here: ${session.why_not}`;
      this.zone.replaceChildren(element('p', '', why));
      this.zone.classList.add('panneuro-mod-shut');
      return;
    }
    this.zone.classList.remove('panneuro-mod-shut');
    this.toolFiles = session.left_out;
    if (this.project !== session.project) {
      this.project = session.project;
      this.invite();
      void this.transfers.refresh();
    }
  }

  dispose(): void {
    this.transfers.dispose();
  }

  private invite(): void {
    const choose = (label: string, folder: boolean) => {
      const input = element('input');
      input.type = 'file';
      input.multiple = true;
      input.webkitdirectory = folder;
      input.hidden = true;
      input.addEventListener('change', () => {
        if (input.files !== null) {
          void this.take(Promise.resolve(picked(input.files)));
        }
        input.value = '';
      });
      return [button(label, () => input.click()), input];
    };
    this.zone.replaceChildren(
      element('p', '', 'Drop files or a folder here: they become one dataset.'),
      element(
        'div',
        'panneuro-buttons',
        ...choose('Files…', false),
        ...choose('Folder…', true)
      )
    );
  }

  private async take(found: Promise<Chosen[]>): Promise<void> {
    let chosen: Chosen[];
    try {
      chosen = await found;
    } catch (problem) {
      this.form.replaceChildren(
        element('p', 'panneuro-trouble', `These cannot be read: ${inWords(problem)}`)
      );
      return;
    }
    const { folder, files } = withinFolder(chosen);
    if (files.length === 0) {
      this.form.replaceChildren(element('p', 'panneuro-trouble', 'There is no file in it.'));
      return;
    }
    this.ask(folder, files);
  }

  private ask(folder: string, files: Chosen[]): void {
    const sorted = sort(files, this.toolFiles);
    const form = new DatasetForm(this.project, folder, sorted, {
      cancel: () => this.form.replaceChildren(),
      send: async said => {
        await this.transfers.add(said, said.include_all ? files : sorted.data);
        this.form.replaceChildren();
      }
    });
    this.form.replaceChildren(form.node);
    form.focus();
  }
}

interface Acts {
  cancel: () => void;
  send: (said: Said) => Promise<void>;
}

/** What a person says of files that become a dataset. */
class DatasetForm {
  readonly node = element('form', 'panneuro-DatasetForm');
  private readonly name: HTMLInputElement;
  private readonly heading = line('', 'In one line');
  private readonly description = lines();
  private readonly citation = line('', 'How to cite it');
  private readonly licence = line('', 'Such as CC-BY-4.0');
  private readonly update = element('input');
  private readonly tools = element('input');
  private readonly sum = element('p');
  private readonly trouble = element('p', 'panneuro-trouble');
  private readonly submit = element('button', 'jp-mod-styled jp-mod-accept', 'Upload');

  constructor(
    private readonly project: string,
    folder: string,
    private readonly files: Sorted,
    acts: Acts
  ) {
    this.name = line(nameFrom(folder), 'such as session-12');
    this.name.required = true;
    this.update.type = 'checkbox';
    this.submit.type = 'submit';
    this.trouble.setAttribute('role', 'alert');
    this.tools.type = 'checkbox';
    this.tools.addEventListener('change', () => this.count());
    this.count();
    this.node.append(
      this.sum,
      ...this.leftOut(),
      field('Dataset', this.name, `its name in ${project}`),
      field('Title', this.heading),
      field('Description', this.description),
      field('Citation', this.citation),
      this.licences(),
      element('p', 'panneuro-hint', `Everybody who can read ${project} can open it.`),
      this.updating(),
      this.trouble,
      element('div', 'panneuro-buttons', this.submit, button('Cancel', acts.cancel))
    );
    this.node.addEventListener('submit', event => {
      event.preventDefault();
      void this.send(acts.send);
    });
  }

  focus(): void {
    this.name.focus();
  }

  private async send(send: Acts['send']): Promise<void> {
    this.submit.disabled = true;
    this.trouble.textContent = '';
    try {
      await send({
        dataset: `${this.project}/${this.name.value.trim()}`,
        title: this.heading.value,
        description: this.description.value,
        citation: this.citation.value,
        license: this.licence.value,
        update: this.update.checked,
        include_all: this.tools.checked
      });
    } catch (problem) {
      this.trouble.textContent = inWords(problem);
    } finally {
      this.count();
    }
  }

  /** Say how much would be sent. */
  private count(): void {
    const { data, tools } = this.files;
    const files = this.tools.checked ? [...data, ...tools] : data;
    const size = files.reduce((sum, { file }) => sum + file.size, 0);
    const count = files.length === 1 ? '1 file' : `${files.length} files`;
    this.sum.textContent = `${count}, ${sizeText(size)}`;
    this.submit.disabled = files.length === 0;
  }

  /** Say which files of tools are left out, and offer to send them. */
  private leftOut(): HTMLElement[] {
    const { kinds, tools } = this.files;
    if (tools.length === 0) {
      return [];
    }
    const names = Array.from(kinds, ([kind, paths]) => {
      const some = Array.from(paths).slice(0, NAMED).join(', ');
      const more = paths.size > NAMED ? ', …' : '';
      return element('li', '', `${paths.size} of ${kind} (${some}${more})`);
    });
    const label = element('label', 'panneuro-Check', this.tools);
    label.append(element('span', '', 'Upload them as well'));
    return [
      element(
        'div',
        'panneuro-LeftOut',
        element('p', '', 'Left out, since they are not data:'),
        element('ul', '', ...names),
        label
      )
    ];
  }

  private licences(): HTMLElement {
    const known = element('datalist');
    known.id = 'panneuro-licences';
    known.append(
      ...LICENCES.map(name => {
        const option = element('option');
        option.value = name;
        return option;
      })
    );
    this.licence.setAttribute('list', known.id);
    const made = field('Licence', this.licence);
    made.append(known);
    return made;
  }

  private updating(): HTMLElement {
    const made = element('label', 'panneuro-Check', this.update);
    made.append(element('span', '', 'Update what is there: replace and add, remove nothing'));
    return made;
  }
}

/** A folder's name as a dataset can have it. */
function nameFrom(folder: string): string {
  return folder
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[^A-Za-z0-9._=+@,-]+/g, '-')
    .replace(/^[.-]+|-+$/g, '');
}
