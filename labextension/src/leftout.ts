// Files of tools, which an upload leaves out unless a person wants them.

import { ToolFiles } from './api';
import { Chosen } from './files';

export interface Sorted {
  /** What is data. */
  data: Chosen[];
  /** What a tool made for itself. */
  tools: Chosen[];
  /** The paths of the files and folders of each kind of tool. */
  kinds: Map<string, Set<string>>;
}

/** Sort files by the names of their paths' parts, as `panneuro upload` does. */
export function sort(files: Chosen[], known: ToolFiles[]): Sorted {
  const patterns = known.flatMap(({ kind, patterns }) =>
    patterns.map(pattern => ({ kind, matches: compile(pattern) }))
  );
  // Most folders' names come again and again.
  const seen = new Map<string, string | undefined>();
  const kindOf = (name: string) => {
    if (!seen.has(name)) {
      seen.set(name, patterns.find(({ matches }) => matches.test(name))?.kind);
    }
    return seen.get(name);
  };
  const sorted: Sorted = { data: [], tools: [], kinds: new Map() };
  for (const chosen of files) {
    const parts = chosen.path.split('/');
    const end = parts.findIndex(name => kindOf(name) !== undefined);
    const kind = end < 0 ? undefined : kindOf(parts[end]);
    if (kind === undefined) {
      sorted.data.push(chosen);
      continue;
    }
    sorted.tools.push(chosen);
    const paths = sorted.kinds.get(kind) ?? new Set();
    sorted.kinds.set(kind, paths.add(parts.slice(0, end + 1).join('/')));
  }
  return sorted;
}

function compile(pattern: string): RegExp {
  const parts = pattern.split('*').map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 'is');
}
