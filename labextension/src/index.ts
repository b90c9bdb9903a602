// The project in JupyterLab: a panel, sharing of notebooks, and copies of shared ones.

import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, ICommandPalette, Notification } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { DocumentRegistry } from '@jupyterlab/docregistry';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { INotebookModel, INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ToolbarButton } from '@jupyterlab/ui-components';
import { Api, inWords } from './api';
import { daskPlugin } from './dask';
import { openCopyAsked, share, takeCopyAsked } from './dialogs';
import { showDrives } from './drives';
import { shareIcon } from './icons';
import { insertOpening, openingCode } from './insertion';
import { ProjectPanel } from './panel';

const SHARE = 'panneuro:share';
const LABEL = 'Share with the project…';

class ShareButton implements DocumentRegistry.IWidgetExtension<NotebookPanel, INotebookModel> {
  constructor(private readonly app: JupyterFrontEnd) {}

  createNew(panel: NotebookPanel): ToolbarButton {
    const made = new ToolbarButton({
      icon: shareIcon,
      tooltip: LABEL,
      className: 'panneuro-ShareButton',
      onClick: () => void this.app.commands.execute(SHARE, { path: panel.context.path })
    });
    panel.toolbar.insertAfter('restart-and-run', 'panneuro-share', made) ||
      panel.toolbar.insertItem(10, 'panneuro-share', made);
    return made;
  }
}

/** Write what opens a dataset into the notebook, or onto the clipboard where there is none. */
function use(notebooks: INotebookTracker, dataset: string): void {
  const panel = notebooks.currentWidget;
  if (panel === null) {
    Clipboard.copyToSystem(openingCode(dataset));
    Notification.info(`No notebook is open; what opens ${dataset} is on the clipboard`, {
      autoClose: 4000
    });
    return;
  }
  insertOpening(panel.content, dataset);
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'panneuro-hub:plugin',
  description: 'The project in JupyterLab: its datasets, upload, shared notebooks.',
  autoStart: true,
  requires: [INotebookTracker, IDocumentManager, IFileBrowserFactory],
  optional: [ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    notebooks: INotebookTracker,
    documents: IDocumentManager,
    browsers: IFileBrowserFactory,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ) => {
    if (!PageConfig.getOption('panneuroProject')) {
      // A server that is no session of a project.
      return;
    }
    const api = new Api(app.serviceManager.serverSettings);
    // Now: what JupyterLab does with the address later may lose it.
    const asked = takeCopyAsked();

    const panel = new ProjectPanel(
      api,
      dataset => use(notebooks, dataset),
      session => showDrives(app, browsers, session.drives, session.project)
    );
    app.shell.add(panel, 'left', { rank: 150 });
    restorer?.add(panel, panel.id);

    const chosen = (): string | undefined => {
      const browser = browsers.tracker.currentWidget;
      return Array.from(browser?.selectedItems() ?? []).find(one => one.type === 'notebook')?.path;
    };
    app.commands.addCommand(SHARE, {
      label: LABEL,
      caption: 'Publish this notebook to everybody who can read the project',
      icon: args => (args.isPalette ? undefined : shareIcon),
      execute: async args => {
        const path =
          (args.path as string | undefined) ??
          (args.selected ? chosen() : notebooks.currentWidget?.context.path);
        if (path === undefined) {
          Notification.info('Open a notebook first, or choose one in the file browser');
          return;
        }
        const context = notebooks.find(one => one.context.path === path)?.context;
        try {
          if (context?.model.dirty) {
            await context.save();
          }
        } catch (problem) {
          Notification.error(`${path} cannot be saved: ${inWords(problem)}`);
          return;
        }
        await share(api, path);
      }
    });
    app.contextMenu.addItem({
      command: SHARE,
      args: { selected: true },
      selector: '.jp-DirListing-item[data-file-type="notebook"]',
      rank: 20
    });
    palette?.addItem({ command: SHARE, category: 'Project', args: { isPalette: true } });
    app.docRegistry.addWidgetExtension('Notebook', new ShareButton(app));

    void app.restored.then(async () => {
      void panel.refresh();
      if (asked !== null) {
        await openCopyAsked(api, documents, asked);
      }
    });
  }
};

export default [plugin, daskPlugin];
