// Making elements. Whatever comes from outside becomes text, never markup.

type Content = Node | string;

/** An element with a class and content; texts become text nodes. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  ...content: Content[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className) {
    made.className = className;
  }
  made.append(...content);
  return made;
}

/** A button in JupyterLab's own style. */
export function button(label: string, act: () => void, className = ''): HTMLButtonElement {
  const made = element('button', `jp-mod-styled ${className}`.trim(), label);
  made.type = 'button';
  made.addEventListener('click', act);
  return made;
}

/** A field with its label. */
export function field<T extends HTMLInputElement | HTMLTextAreaElement>(
  label: string,
  input: T,
  hint = ''
): HTMLLabelElement {
  input.classList.add('jp-mod-styled');
  const made = element('label', 'panneuro-Field', element('span', '', label), input);
  if (hint) {
    made.append(element('span', 'panneuro-hint', hint));
  }
  return made;
}

/** A field for one line. */
export function line(value = '', placeholder = ''): HTMLInputElement {
  const made = element('input');
  made.type = 'text';
  made.value = value;
  made.placeholder = placeholder;
  made.spellcheck = false;
  return made;
}

/** A field for some lines. */
export function lines(value = '', rows = 3): HTMLTextAreaElement {
  const made = element('textarea');
  made.rows = rows;
  made.value = value;
  return made;
}

/** A link that opens in a tab of its own. */
export function link(address: string, text: string): HTMLElement {
  // The hub's own pages alone: an address with another scheme could run as a script.
  const url = new URL(address, window.location.href);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return element('span', '', text);
  }
  const made = element('a', 'panneuro-link', text);
  made.href = url.href;
  made.target = '_blank';
  made.rel = 'noopener noreferrer';
  return made;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** A number of bytes for people, in powers of 1000. */
export function sizeText(size: number): string {
  let unit = 0;
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 99.95 ? size.toFixed(0) : size.toFixed(1)} ${UNITS[unit]}`;
}

/** Seconds for people: `0:42` or `1:02:03`. */
export function durationText(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  return hours > 0
    ? `${hours}:${two(minutes)}:${two(whole % 60)}`
    : `${minutes}:${two(whole % 60)}`;
}
