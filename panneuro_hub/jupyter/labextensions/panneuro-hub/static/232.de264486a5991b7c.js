"use strict";(self.rspackChunkpanneuro_hub=self.rspackChunkpanneuro_hub||[]).push([[232],{475(e,r,n){var o=n(601),a=n.n(o),t=n(314),p=(n.n(t))()(a());p.push([e.id,`.panneuro-Panel {
  display: flex;
  flex-direction: column;
  background: var(--jp-layout-color1);
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size1);
  min-width: 240px;
}

.panneuro-title {
  font-weight: 600;
  padding: 0 8px;
  line-height: 24px;
}

.panneuro-content {
  display: flex;
  flex-direction: column;
  gap: 6px;
  flex: 1;
  overflow: auto;
  padding: 8px;
}

.panneuro-Panel > .jp-Toolbar {
  flex: none;
}

.panneuro-content button.jp-mod-styled {
  height: 26px;
  letter-spacing: normal;
  line-height: 26px;
  padding: 0 10px;
}

.panneuro-content h3 {
  border-bottom: var(--jp-border-width) solid var(--jp-border-color2);
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size0);
  font-weight: 600;
  letter-spacing: 1px;
  margin: 8px 0 4px;
  padding-bottom: 4px;
  text-transform: uppercase;
}

.panneuro-Place > * {
  line-height: 1.5;
}

.panneuro-name {
  font-weight: 600;
  overflow-wrap: anywhere;
}

.panneuro-hint,
.panneuro-note {
  color: var(--jp-ui-font-color2);
  font-size: var(--jp-ui-font-size0);
  overflow-wrap: anywhere;
}

.panneuro-state,
.panneuro-note {
  color: var(--jp-warn-color0);
  font-size: var(--jp-ui-font-size0);
}

.panneuro-trouble {
  color: var(--jp-error-color1);
  margin: 4px 0;
  overflow-wrap: anywhere;
  white-space: pre-wrap;
}

.panneuro-trouble:empty,
.panneuro-state:empty {
  display: none;
}

a.panneuro-link {
  color: var(--jp-content-link-color);
}

a.panneuro-link:hover {
  text-decoration: underline;
}

.panneuro-Zone {
  border: 1px dashed var(--jp-border-color1);
  border-radius: var(--jp-border-radius);
  padding: 10px 8px;
  text-align: center;
}

.panneuro-Zone p {
  margin: 0 0 8px;
  overflow-wrap: anywhere;
}

.panneuro-Zone.panneuro-mod-over {
  background: var(--jp-layout-color2);
  border-color: var(--jp-brand-color1);
}

.panneuro-Zone.panneuro-mod-shut {
  border-style: solid;
  color: var(--jp-ui-font-color2);
  text-align: left;
}

.panneuro-Zone.panneuro-mod-shut p {
  margin: 0;
}

.panneuro-buttons {
  display: flex;
  flex-wrap: wrap;
  gap: 6px;
  justify-content: center;
}

.panneuro-buttons > button.jp-mod-styled {
  margin: 0;
}

.panneuro-Field {
  display: flex;
  flex-direction: column;
  gap: 2px;
  margin-bottom: 6px;
}

.panneuro-Field > span:first-child {
  color: var(--jp-ui-font-color1);
  font-weight: 600;
}

.panneuro-Field input.jp-mod-styled,
.panneuro-Field textarea.jp-mod-styled,
input.panneuro-search {
  box-sizing: border-box;
  font-size: var(--jp-ui-font-size1);
  width: 100%;
}

.panneuro-Field textarea.jp-mod-styled {
  min-height: 3em;
  resize: vertical;
}

.panneuro-Check {
  align-items: baseline;
  display: flex;
  gap: 6px;
  margin-bottom: 6px;
}

.panneuro-DatasetForm {
  border: var(--jp-border-width) solid var(--jp-border-color2);
  border-radius: var(--jp-border-radius);
  padding: 8px;
}

.panneuro-DatasetForm > p:first-child {
  margin: 0 0 6px;
}

.panneuro-Datasets {
  list-style: none;
  margin: 0;
  padding: 0;
}

.panneuro-Dataset {
  background: none;
  border: none;
  border-radius: var(--jp-border-radius);
  color: inherit;
  cursor: pointer;
  display: flex;
  flex-direction: column;
  font: inherit;
  gap: 1px;
  padding: 5px 6px;
  text-align: left;
  width: 100%;
}

.panneuro-Dataset:hover:enabled,
.panneuro-Dataset:focus-visible {
  background: var(--jp-layout-color2);
}

.panneuro-Dataset:disabled {
  cursor: default;
  opacity: 0.7;
}

.panneuro-Transfers:empty {
  display: none;
}

.panneuro-Transfer {
  border: var(--jp-border-width) solid var(--jp-border-color2);
  border-left: 3px solid var(--jp-brand-color1);
  border-radius: var(--jp-border-radius);
  margin-top: 6px;
  padding: 6px 8px;
}

.panneuro-Transfer[data-state='done'] {
  border-left-color: var(--jp-success-color1);
}

.panneuro-Transfer[data-state='failed'] {
  border-left-color: var(--jp-error-color1);
}

.panneuro-Transfer progress {
  accent-color: var(--jp-brand-color1);
  width: 100%;
}

.panneuro-Transfer .panneuro-buttons {
  justify-content: flex-start;
  margin-top: 4px;
}

.panneuro-said {
  font-size: var(--jp-ui-font-size0);
  overflow-wrap: anywhere;
  white-space: pre-wrap;
}

.panneuro-ShareForm {
  min-width: 420px;
}

.jp-Dialog-content:has(.panneuro-ShareForm) {
  max-height: 85vh;
}

.panneuro-facts p,
.panneuro-Told p {
  margin: 6px 0;
  overflow-wrap: anywhere;
}

.panneuro-facts ul {
  margin: 0;
  padding-left: 20px;
}

/* JupyterLab's Dask panel: its clusters come first, where a new one is seen without scrolling. */
.dask-DaskSidebar {
  display: flex;
  flex-direction: column;
}

.dask-DaskSidebar > .dask-DaskClusterManager {
  border-bottom: 6px solid var(--jp-toolbar-border-color);
  border-top: none;
  flex: none;
  max-height: 60%;
  order: -1;
  overflow: auto;
}

.dask-DaskSidebar > :not(.dask-DaskClusterManager) {
  flex: 1;
  min-height: 0;
  overflow: auto;
}

.panneuro-DaskMessages {
  background: var(--jp-warn-color3);
  color: var(--jp-ui-font-color1);
  padding: 4px 12px;
}

.panneuro-DaskMessages p {
  margin: 4px 0;
  overflow-wrap: anywhere;
}

.panneuro-LeftOut,
.panneuro-Secrets {
  border-left: 3px solid var(--jp-border-color1);
  margin: 0 0 8px;
  overflow-wrap: anywhere;
  padding-left: 8px;
}

.panneuro-Secrets {
  border-color: var(--jp-warn-color0);
}

.panneuro-LeftOut p,
.panneuro-Secrets p {
  margin: 0;
}

.panneuro-LeftOut ul,
.panneuro-Secrets ul {
  margin: 2px 0 4px;
  padding-left: 18px;
}
`,""]),n.d(r,{},{A:p})},314(e){e.exports=function(e){var r=[];return r.toString=function(){return this.map(function(r){var n="",o=void 0!==r[5];return r[4]&&(n+="@supports (".concat(r[4],") {")),r[2]&&(n+="@media ".concat(r[2]," {")),o&&(n+="@layer".concat(r[5].length>0?" ".concat(r[5]):""," {")),n+=e(r),o&&(n+="}"),r[2]&&(n+="}"),r[4]&&(n+="}"),n}).join("")},r.i=function(e,n,o,a,t){"string"==typeof e&&(e=[[null,e,void 0]]);var p={};if(o)for(var i=0;i<this.length;i++){var s=this[i][0];null!=s&&(p[s]=!0)}for(var l=0;l<e.length;l++){var u=[].concat(e[l]);o&&p[u[0]]||(void 0!==t&&(void 0===u[5]||(u[1]="@layer".concat(u[5].length>0?" ".concat(u[5]):""," {").concat(u[1],"}")),u[5]=t),n&&(u[2]&&(u[1]="@media ".concat(u[2]," {").concat(u[1],"}")),u[2]=n),a&&(u[4]?(u[1]="@supports (".concat(u[4],") {").concat(u[1],"}"),u[4]=a):u[4]="".concat(a)),r.push(u))}},r}},601(e){e.exports=function(e){return e[1]}},72(e){var r=[];function n(e){for(var n=-1,o=0;o<r.length;o++)if(r[o].identifier===e){n=o;break}return n}function o(e,o){for(var a={},t=[],p=0;p<e.length;p++){var i=e[p],s=o.base?i[0]+o.base:i[0],l=a[s]||0,u="".concat(s," ").concat(l);a[s]=l+1;var d=n(u),c={css:i[1],media:i[2],sourceMap:i[3],supports:i[4],layer:i[5]};if(-1!==d)r[d].references++,r[d].updater(c);else{var f=function(e,r){var n=r.domAPI(r);return n.update(e),function(r){r?(r.css!==e.css||r.media!==e.media||r.sourceMap!==e.sourceMap||r.supports!==e.supports||r.layer!==e.layer)&&n.update(e=r):n.remove()}}(c,o);o.byIndex=p,r.splice(p,0,{identifier:u,updater:f,references:1})}t.push(u)}return t}e.exports=function(e,a){var t=o(e=e||[],a=a||{});return function(e){e=e||[];for(var p=0;p<t.length;p++){var i=n(t[p]);r[i].references--}for(var s=o(e,a),l=0;l<t.length;l++){var u=n(t[l]);0===r[u].references&&(r[u].updater(),r.splice(u,1))}t=s}}},659(e){var r={};e.exports=function(e,n){var o=function(e){if(void 0===r[e]){var n=document.querySelector(e);if(window.HTMLIFrameElement&&n instanceof window.HTMLIFrameElement)try{n=n.contentDocument.head}catch(e){n=null}r[e]=n}return r[e]}(e);if(!o)throw Error("Couldn't find a style target. This probably means that the value for the 'insert' parameter is invalid.");o.appendChild(n)}},540(e){e.exports=function(e){var r=document.createElement("style");return e.setAttributes(r,e.attributes),e.insert(r,e.options),r}},56(e,r,n){e.exports=function(e){var r=n.nc;r&&e.setAttribute("nonce",r)}},825(e){e.exports=function(e){if("u"<typeof document)return{update:function(){},remove:function(){}};var r=e.insertStyleElement(e);return{update:function(n){var o,a,t;o="",n.supports&&(o+="@supports (".concat(n.supports,") {")),n.media&&(o+="@media ".concat(n.media," {")),(a=void 0!==n.layer)&&(o+="@layer".concat(n.layer.length>0?" ".concat(n.layer):""," {")),o+=n.css,a&&(o+="}"),n.media&&(o+="}"),n.supports&&(o+="}"),(t=n.sourceMap)&&"u">typeof btoa&&(o+="\n/*# sourceMappingURL=data:application/json;base64,".concat(btoa(unescape(encodeURIComponent(JSON.stringify(t))))," */")),e.styleTagTransform(o,r,e.options)},remove:function(){var e;null===(e=r).parentNode||e.parentNode.removeChild(e)}}}},113(e){e.exports=function(e,r){if(r.styleSheet)r.styleSheet.cssText=e;else{for(;r.firstChild;)r.removeChild(r.firstChild);r.appendChild(document.createTextNode(e))}}},579(e,r,n){var o=n(72),a=n.n(o),t=n(825),p=n.n(t),i=n(659),s=n.n(i),l=n(56),u=n.n(l),d=n(540),c=n.n(d),f=n(113),v=n.n(f),h=n(475),m={};m.styleTagTransform=v(),m.setAttributes=u(),m.insert=s().bind(null,"head"),m.domAPI=p(),m.insertStyleElement=c(),a()(h.A,m),h.A&&h.A.locals&&h.A.locals}}]);