// Calls of a server's HTTP API, this one's or another's.

// Where this page came from, whatever a proxy put in front of it.
export const HERE = new URL('.', location.href).href;

export class ApiError extends Error {
  constructor(status, message, progress) {
    super(message);
    this.status = status;
    this.progress = progress;  // of loading, when that is why
  }
}

async function errorOf(response) {
  const text = await response.text();
  try {
    const {error} = JSON.parse(text);
    return new ApiError(response.status, error.message ?? String(error), error.progress);
  } catch {
    return new ApiError(response.status, text.slice(0, 300) || `HTTP ${response.status}`);
  }
}

// The server-sent events of a response, as {event, data}.
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let unread = '';
  try {
    for (;;) {
      const {done, value} = await reader.read();
      if (done) return;
      unread += value;
      for (let at; (at = unread.search(/\r?\n\r?\n/)) >= 0;) {
        const block = unread.slice(0, at);
        unread = unread.slice(at).replace(/^\r?\n\r?\n/, '');
        const found = {event: 'message', data: []};
        for (const line of block.split(/\r?\n/)) {
          const colon = line.indexOf(':');
          if (colon === 0) continue;  // a comment
          const name = colon < 0 ? line : line.slice(0, colon);
          const text = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
          if (name === 'data') found.data.push(text);
          if (name === 'event') found.event = text;
        }
        if (found.data.length > 0) yield {event: found.event, data: found.data.join('\n')};
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

export class Api {
  // `server` is an address such as http://127.0.0.1:8080, or '' for where the page came from.
  constructor(server, key) {
    this.base = server ? (/^https?:\/\//.test(server) ? server : `http://${server}`).replace(/\/*$/, '/') : HERE;
    this.key = key;
    this.isHere = !server;
  }

  async fetch(path, options = {}) {
    const headers = {...options.headers};
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    let response;
    try {
      response = await fetch(this.base + path, {...options, headers, credentials: 'omit'});
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new ApiError(0, this.isHere ? 'The server does not answer.'
        : `${this.base} does not answer, or does not let this page ask (--cors there, --webui-connect here).`);
    }
    if (!response.ok) throw await errorOf(response);
    return response;
  }

  async get(path, signal) {
    return (await this.fetch(path, {signal})).json();
  }

  events(path, signal) {
    return this.fetch(path, {signal}).then(eventsOf);
  }

  post(path, body, signal) {
    return this.fetch(path, {
      method: 'POST', body: JSON.stringify(body), headers: {'Content-Type': 'application/json'}, signal});
  }
}
