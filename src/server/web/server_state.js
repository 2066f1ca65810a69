// What is known of the server behind the page: key, model, limits. The header shows it.
import {Api, ApiError} from './api.js';
import {readSetting, writeSetting} from './store.js';

class ServerState extends EventTarget {
  constructor() {
    super();
    this.key = readSetting('key', '');
    this.models = [];
    this.defaults = {};
    this.status = 'connecting';  // loading, ready, locked, gone
    this.timer = 0;
  }

  get api() {
    return new Api('', this.key);
  }

  // The one that answers when none is chosen.
  get model() {
    return this.models[0];
  }

  setKey(key) {
    this.key = key;
    writeSetting('key', key);
    this.look();
  }

  // Asks the server until it answers.
  async look() {
    clearTimeout(this.timer);
    let again = 0;
    try {
      const models = await this.api.get('v1/models');
      this.models = models.data;
      this.status = 'ready';
      this.progress = undefined;
      const props = await this.api.get('props').catch(() => ({}));
      const shown = props.default_generation_settings ?? {};
      this.defaults = {...shown.params, max_tokens: undefined, seed: undefined};
    } catch (error) {
      this.status = error.status === 401 ? 'locked' : error.status === 503 ? 'loading' : 'gone';
      this.progress = error instanceof ApiError ? error.progress : undefined;
      again = this.status === 'loading' ? 400 : 4000;
    }
    if (again && this.status !== 'locked') this.timer = setTimeout(() => this.look(), again);
    this.dispatchEvent(new Event('change'));
  }
}

export const server = new ServerState();

export function showServer(place) {
  const name = place.querySelector('.name');
  const show = () => {
    place.dataset.status = server.status;
    const percent = Math.round((server.progress ?? 0) * 100);
    name.textContent = {
      ready: server.model?.id ?? '', loading: `loading ${percent} %`, locked: 'needs a key', gone: 'no answer',
      connecting: 'connecting'}[server.status];
    place.title = server.status === 'ready' && server.model?.meta
      ? `${server.model.id}: ${server.model.meta.n_slot_ctx} tokens of context` : '';
  };
  server.addEventListener('change', show);
  show();
}
