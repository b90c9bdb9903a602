// The projects' files in JupyterLab's own file browser.

import { JupyterFrontEnd } from '@jupyterlab/application';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { Drive } from '@jupyterlab/services';
import { folderFavoriteIcon } from '@jupyterlab/ui-components';

const known = new Set<string>();

/** Show each project's files, once; the own project's first. */
export function showDrives(
  app: JupyterFrontEnd,
  browsers: IFileBrowserFactory,
  drives: Record<string, string>,
  own: string
): void {
  const projects = Object.keys(drives).sort((a, b) => Number(b === own) - Number(a === own));
  for (const project of projects.filter(name => !known.has(name))) {
    known.add(project);
    const { contents, serverSettings } = app.serviceManager;
    const drive = new Drive({
      name: drives[project],
      apiEndpoint: `api/contents/${drives[project]}:`,
      serverSettings
    });
    contents.addDrive(drive);
    const browser = browsers.createFileBrowser(`panneuro-shared-${project}`, {
      driveName: drive.name,
      restore: false
    });
    browser.title.icon = folderFavoriteIcon;
    browser.title.caption = `shared/${project}: the project's files, to look at`;
    app.shell.add(browser, 'left', { rank: 151 });
  }
}
