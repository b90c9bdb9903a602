// Which files a person dropped or chose, with their paths in the dataset.

export interface Chosen {
  /** With `/` between its parts. */
  path: string;
  file: File;
}

/** What was dropped; read at once, since a browser forgets it after the event. */
export function dropped(transfer: DataTransfer): Promise<Chosen[]> {
  const pending = Array.from(transfer.items)
    .filter(item => item.kind === 'file')
    .map(item => ({ entry: item.webkitGetAsEntry?.() ?? null, file: item.getAsFile() }));
  const found = pending.map(async ({ entry, file }) => {
    if (entry !== null) {
      return walk(entry, '');
    }
    return file === null ? [] : [{ path: file.name, file }];
  });
  return Promise.all(found).then(all => all.flat());
}

/** What was chosen in a file dialog. */
export function picked(list: FileList): Chosen[] {
  return Array.from(list, file => ({ path: file.webkitRelativePath || file.name, file }));
}

/**
 * The name of the one folder that all files lie in, and the files seen from there.
 *
 * A folder that is dropped is the dataset, as it is for `panneuro upload FOLDER`.
 */
export function withinFolder(chosen: Chosen[]): { folder: string; files: Chosen[] } {
  const tops = new Set(chosen.map(({ path }) => path.split('/')[0]));
  if (tops.size !== 1 || chosen.some(({ path }) => !path.includes('/'))) {
    return { folder: '', files: chosen };
  }
  const [folder] = tops;
  const files = chosen.map(({ path, file }) => ({ path: path.slice(folder.length + 1), file }));
  return { folder, files };
}

async function walk(entry: FileSystemEntry, above: string): Promise<Chosen[]> {
  const path = above ? `${above}/${entry.name}` : entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject)
    );
    return [{ path, file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Chosen[] = [];
  for (;;) {
    // A browser gives a hundred at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject)
    );
    if (some.length === 0) {
      return found;
    }
    for (const inner of some) {
      found.push(...(await walk(inner, path)));
    }
  }
}
