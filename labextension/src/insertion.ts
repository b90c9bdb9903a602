// The code that opens a dataset, with the import that it needs.

import { NotebookActions, type Notebook } from '@jupyterlab/notebook';

const IMPORT = 'import panneuro_hub.lab as lab';
// Magics that hand a cell to something else than this kernel's Python.
const FOREIGN_CELL = /^\s*%%(?!(?:time|capture|prun)\b)/;

/** Return code that opens a dataset wherever it runs. */
export function openingCode(dataset: string): string {
  return withImport(openingCall('lab', dataset));
}

/** Write what opens a dataset into a notebook, at its active cell. */
export function insertOpening(notebook: Notebook, dataset: string): void {
  // An import further down does not count: it runs later.
  const above = notebook.widgets
    .slice(0, notebook.activeCellIndex + 1)
    .filter(cell => cell.model.type === 'code')
    .map(cell => cell.model.sharedModel.getSource());
  const name = importedName(above);
  insertCode(notebook, name === null ? openingCode(dataset) : openingCall(name, dataset));
}

/** Return code that uses `lab` with its import, so that it runs anywhere. */
export function withImport(code: string): string {
  return `${IMPORT}\n\n${code}`;
}

/** Write code into a notebook, into its active cell or, if something is there, below it. */
export function insertCode(notebook: Notebook, code: string): void {
  const active = notebook.activeCell;
  if (active?.model.type !== 'code' || active.model.sharedModel.getSource().trim() !== '') {
    NotebookActions.insertBelow(notebook);
  }
  notebook.activeCell?.model.sharedModel.setSource(code);
}

function openingCall(name: string, dataset: string): string {
  return `${name}.open(${JSON.stringify(dataset)})`;
}

/** Return the name by which these cells know `lab`; `null` if they do not import it. */
function importedName(sources: string[]): string | null {
  for (const source of sources.filter(text => !FOREIGN_CELL.test(text))) {
    for (const statement of source.split('\n')) {
      const name = importedBy(statement.replace(/#.*$/, '').trimEnd());
      if (name !== null) {
        return name;
      }
    }
  }
  return null;
}

function importedBy(statement: string): string | null {
  const [, module, names] = /^(?:from\s+(\S+)\s+)?import\s+(.+)$/.exec(statement) ?? [];
  const wanted = module === undefined ? 'panneuro_hub.lab' : 'lab';
  if (names === undefined || (module !== undefined && module !== 'panneuro_hub')) {
    return null;
  }
  for (const part of names.replace(/[()]/g, '').split(',')) {
    const [name, as, alias] = part.trim().split(/\s+/);
    if (name === wanted) {
      return as === 'as' ? alias : name;
    }
  }
  return null;
}
