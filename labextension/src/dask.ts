// JupyterLab's Dask panel (dask-labextension): its code button joins the project's cluster, and the
// gateway's messages stand above its clusters.

import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, Notification } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { Message, MessageLoop } from '@lumino/messaging';
import { PanelLayout, Widget } from '@lumino/widgets';
import { element } from './dom';
import { insertCode, withImport } from './insertion';

const PANEL = 'dask-dashboard-launcher';

/** A cluster as our part of the server answers it to the panel. */
interface ICluster {
  id: string;
  name: string;
  /** The gateway's name of it. */
  cluster?: string;
  scheduler_address: string;
  messages?: string[];
}

/** What this module uses of the panel's list of clusters; dask-labextension 7. */
interface IClusterManager extends Widget {
  readonly clusters: ICluster[];
  _injectClientCodeForCluster?: (cluster: ICluster) => unknown;
  _getClientCodeForCluster?: (cluster: ICluster) => string;
}

/** The lines that join a cluster, with the import: the cell that has it may not have run. */
function joiningCode(cluster: ICluster): string {
  const name = cluster.cluster || cluster.scheduler_address.split('/').pop() || '';
  return withImport(`client = lab.cluster(${JSON.stringify(name)})\nclient`);
}

/** Write them into a cell of their own: the panel itself would replace what is in the cell. */
function insertJoining(notebooks: INotebookTracker, cluster: ICluster): void {
  const panel = notebooks.currentWidget;
  if (panel === null) {
    Clipboard.copyToSystem(joiningCode(cluster));
    Notification.info('No notebook is open; the code is on the clipboard', { autoClose: 4000 });
    return;
  }
  insertCode(panel.content, joiningCode(cluster));
}

/** The messages about the clusters, above them; a screen reader reads new ones. */
class Messages extends Widget {
  constructor() {
    super();
    this.addClass('panneuro-DaskMessages');
    this.node.setAttribute('role', 'status');
    this.node.setAttribute('aria-live', 'polite');
    this.hide();
  }

  showOf(clusters: ICluster[]): void {
    const said = clusters.flatMap(cluster =>
      (cluster.messages ?? []).map(text => `${cluster.name}: ${text}`)
    );
    const text = said.join('\n');
    if (text !== this._text) {
      this._text = text;
      this.node.replaceChildren(...said.map(one => element('p', '', one)));
      this.setHidden(said.length === 0);
    }
  }

  private _text = '';
}

/** Take over the code button, and show messages and new clusters. */
function extend(manager: IClusterManager, notebooks: INotebookTracker): void {
  manager._injectClientCodeForCluster = cluster => insertJoining(notebooks, cluster);
  manager._getClientCodeForCluster = joiningCode;
  const messages = new Messages();
  (manager.layout as PanelLayout).insertWidget(1, messages);
  let known: Set<string> | null = null;
  MessageLoop.installMessageHook(manager, (_: unknown, message: Message) => {
    if (message.type === 'update-request') {
      const clusters = manager.clusters;
      const added = clusters.filter(one => known !== null && !known.has(one.id));
      known = new Set(clusters.map(one => one.id));
      messages.showOf(clusters);
      // After the panel itself has handled the message.
      window.requestAnimationFrame(() => {
        for (const one of added) {
          const id = CSS.escape(one.id);
          manager.node
            .querySelector(`[data-cluster-id="${id}"]`)
            ?.scrollIntoView({ block: 'nearest' });
        }
      });
    }
    return true;
  });
  manager.update();
}

function findManager(app: JupyterFrontEnd): IClusterManager | null {
  for (const area of ['left', 'right']) {
    for (const widget of app.shell.widgets(area)) {
      if (widget.id === PANEL && 'clusterManager' in widget) {
        return widget.clusterManager as IClusterManager;
      }
    }
  }
  return null;
}

export const daskPlugin: JupyterFrontEndPlugin<void> = {
  id: 'panneuro-hub:dask',
  description: "The project's clusters in JupyterLab's Dask panel: code, messages.",
  autoStart: true,
  requires: [INotebookTracker],
  activate: (app: JupyterFrontEnd, notebooks: INotebookTracker) => {
    if (!PageConfig.getOption('panneuroProject')) {
      return;
    }
    void app.restored.then(() => {
      const manager = findManager(app);
      if (manager !== null) {
        extend(manager, notebooks);
      }
    });
  }
};
