// What this server's extension is asked, and what it answers.

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

export interface Session {
  user: string;
  project: string;
  title: string;
  level: string | null;
  may_write: boolean;
  why_not: string | null;
  readable: string[];
  frozen: { place: string; reason: string }[];
  problem: string | null;
  drives: Record<string, string>;
  pages: string;
  /** Names of files that an upload leaves out. */
  left_out: ToolFiles[];
}

export interface ToolFiles {
  kind: string;
  /** `*` stands for any characters. */
  patterns: string[];
}

export interface Dataset {
  name: string;
  project: string;
  complete: boolean;
  title: string;
  description: string;
  who: string;
  when: string;
  size: string;
  format: string;
  modality: string;
  subjects: string;
  state: string;
}

export interface Datasets {
  datasets: Dataset[];
  notes: string[];
}

export interface Shared {
  project: string;
  name: string;
  label: string;
  title: string;
  description: string;
  new: boolean;
  datasets: string[];
  image: string;
  packages: number;
  notes: string[];
  /** What looks like a secret: where, and of which kind. */
  secrets: string[];
  page: string;
}

export interface Said {
  dataset: string;
  title: string;
  description: string;
  citation: string;
  license: string;
  update: boolean;
  include_all: boolean;
}

export interface Announced {
  path: string;
  size: number;
  changed: number;
}

export interface Upload {
  id: string;
  dataset: string;
  /** How often its state has changed. */
  revision: number;
  state: 'receiving' | 'waiting' | 'sending' | 'done' | 'failed' | 'stopped';
  size: number;
  received: number;
  sent: number;
  line: string;
  problem: string | null;
  /** Of the problem, for programs; empty for most. */
  code: string;
  update: boolean;
  /** Whether the person allowed what looks like a secret. */
  allowed: boolean;
  said: string;
  notes: string[];
}

export interface Begun extends Upload {
  files: number[];
  piece: number;
}

/** Something was refused; the text says why. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly received?: number
  ) {
    super(message);
  }
}

/** The extension of this server, as the browser asks it. */
export class Api {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  session = (): Promise<Session> => this.ask('GET', 'session');

  datasets = (): Promise<Datasets> => this.ask('GET', 'datasets');

  share = (asked: object): Promise<Shared> => this.ask('POST', 'shares', asked);

  copy = (notebook: string): Promise<{ path: string }> =>
    this.ask('POST', 'copies', { notebook });

  uploads = (): Promise<{ uploads: Upload[] }> => this.ask('GET', 'uploads');

  begin = (said: Said, files: Announced[]): Promise<Begun> =>
    this.ask('POST', 'uploads', { ...said, files });

  upload = (id: string): Promise<Upload> => this.ask('GET', `uploads/${id}`);

  start = (id: string, update: boolean, allowSecrets = false): Promise<Upload> =>
    this.ask('POST', `uploads/${id}`, { update, allow_secrets: allowSecrets });

  end = (id: string): Promise<void> => this.ask('DELETE', `uploads/${id}`);

  async piece(id: string, file: number, offset: number, content: ArrayBuffer): Promise<number> {
    const headers: Record<string, string> = { 'Content-Type': 'application/octet-stream' };
    // Where the page's address is not a safe one, browsers have no digests.
    if (crypto.subtle) {
      headers['X-Content-SHA256'] = hexadecimal(await crypto.subtle.digest('SHA-256', content));
    }
    const address = `uploads/${id}/files/${file}?offset=${offset}`;
    const answer = await this.request<{ received: number }>(address, {
      method: 'PUT',
      body: content,
      headers
    });
    return answer.received;
  }

  private ask<T>(method: string, address: string, asked?: object): Promise<T> {
    return this.request<T>(address, {
      method,
      ...(asked === undefined ? {} : { body: JSON.stringify(asked) })
    });
  }

  private async request<T>(address: string, init: RequestInit): Promise<T> {
    const url = URLExt.join(this.settings.baseUrl, 'panneuro/api', address);
    const response = await ServerConnection.makeRequest(url, init, this.settings);
    const text = await response.text();
    let answer: any = {};
    try {
      answer = text ? JSON.parse(text) : {};
    } catch {
      // Not from the extension: something between here and there.
    }
    if (!response.ok) {
      const said = typeof answer.message === 'string' ? answer.message : '';
      throw new Refused(
        said || `this server answered ${response.status} ${response.statusText}`,
        response.status,
        answer.received
      );
    }
    return answer as T;
  }
}

/** What to tell a person of a failure. */
export function inWords(problem: unknown): string {
  if (problem instanceof ServerConnection.NetworkError) {
    return 'this server cannot be reached; its network, or yours';
  }
  return problem instanceof Error ? problem.message : String(problem);
}

function hexadecimal(digest: ArrayBuffer): string {
  return Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, '0')).join('');
}
