// Asks for the API key when the server wants one.
import {h} from './dom.js';
import {server} from './server_state.js';

export function setUpKeyBanner(before) {
  const box = h('input', {type: 'password', 'aria-label': 'API key', placeholder: 'API key', autocomplete: 'off'});
  const banner = h('form', {class: 'key-banner', hidden: true, onsubmit: (event) => {
    event.preventDefault();
    server.setKey(box.value.trim());
  }}, h('span', {}, 'This server wants an API key.'), box, h('button', {type: 'submit', class: 'button'}, 'Use'));
  before.before(banner);
  server.addEventListener('change', () => { banner.hidden = server.status !== 'locked'; });
}
