// Puts the page together: the view that the address names, the header.
import {setUpTheme} from './appearance.js';
import {setUpKeyBanner} from './key_banner.js';
import {server, showServer} from './server_state.js';

const TITLES = {chat: 'Chat', compare: 'Compare', cache: 'Cache'};
const LOADERS = {
  chat: () => import('./chat_view.js'),
  compare: () => import('./compare_view.js'),
  cache: () => import('./cache_view.js'),
};
const main = document.getElementById('main');
let leave = () => {};
let turn = 0;

async function show() {
  const name = location.hash.slice(2).split('/')[0];
  const view = name in TITLES ? name : 'chat';
  const mine = ++turn;
  const {open} = await LOADERS[view]();
  if (mine !== turn) return;  // another was asked for meanwhile
  leave();
  for (const link of document.querySelectorAll('.views a')) {
    if (link.hash === `#/${view}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${TITLES[view]} · llama-box`;
  main.className = `view-${view}`;
  main.replaceChildren();
  leave = open(main) ?? (() => {});
}

document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
setUpTheme(document.getElementById('theme'));
showServer(document.getElementById('server'));
setUpKeyBanner(main);
addEventListener('hashchange', show);
server.look();
show();
