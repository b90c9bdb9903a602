// The code that opens a dataset, with the import that it needs.

import { NotebookActions, type Notebook } from '@jupyterlab/notebook';

const IMPORT = 'import panneuro_hub.lab as lab';
// Magics that hand a cell to something else than this kernel's Python.
const FOREIGN_CELL = /^\s*%%(?!(?:time|capture|prun)\b)/;

/** Return code that opens a dataset wherever it runs. */
export function openingCode(dataset: string): string {
  return withImport(name => openingCall(name, dataset));
}

/** Write what opens a dataset into a notebook, at its active cell. */
export function insertOpening(notebook: Notebook, dataset: string): void {
  insertCode(notebook, name => openingCall(name, dataset));
}

/** Return code that uses `lab`, whose name it gets, wherever it runs. */
export function withImport(code: (lab: string) => string): string {
  return `${IMPORT}\n\n${code('lab')}`;
}

/** Write code that uses `lab` into a notebook, at its active cell, with the import if it needs it. */
export function insertCode(notebook: Notebook, code: (lab: string) => string): void {
  // An import further down does not count: it runs later.
  const above = notebook.widgets
    .slice(0, notebook.activeCellIndex + 1)
    .filter(cell => cell.model.type === 'code')
    .map(cell => cell.model.sharedModel.getSource());
  const name = importedName(above);
  const active = notebook.activeCell;
  if (active?.model.type !== 'code' || active.model.sharedModel.getSource().trim() !== '') {
    NotebookActions.insertBelow(notebook);
  }
  notebook.activeCell?.model.sharedModel.setSource(name === null ? withImport(code) : code(name));
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
