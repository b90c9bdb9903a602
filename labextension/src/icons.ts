// The extension's icons, drawn in the colours of JupyterLab's theme.

import { LabIcon } from '@jupyterlab/ui-components';

export const projectIcon = new LabIcon({
  name: 'panneuro:project',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M12 2C7.6 2 4 3.5 4 5.4v13.2C4 20.5 7.6 22 12 22s8-1.5 8-3.4V5.4C20 3.5 16.4 2 12 2zm0 2c3.6 0 6 1 6 1.4s-2.4 1.4-6 1.4-6-1-6-1.4S8.4 4 12 4zM6 8c1.5.5 3.6.8 6 .8s4.5-.3 6-.8v3.4c0 .5-2.4 1.4-6 1.4s-6-.9-6-1.4zm0 6c1.5.5 3.6.8 6 .8s4.5-.3 6-.8v4.6c0 .5-2.4 1.4-6 1.4s-6-.9-6-1.4z"/>
  </g>
</svg>`
});

export const shareIcon = new LabIcon({
  name: 'panneuro:share',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M18 16a3 3 0 0 0-2 .8l-7.1-4.1a3 3 0 0 0 0-1.4L16 7.2a3 3 0 1 0-1-2.2 3 3 0 0 0 .1.7L8 9.8a3 3 0 1 0 0 4.4l7.1 4.2A2.9 2.9 0 1 0 18 16z"/>
</svg>`
});
