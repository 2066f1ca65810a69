// What the browser keeps: settings in local storage, conversations in IndexedDB. Nothing of it leaves the
// browser. Without storage (a private window may have none) all lives as long as the page.

const DATABASE = 'llama-box';
const CONVERSATIONS = 'conversations';

export function readSetting(name, otherwise) {
  try {
    const text = localStorage.getItem(`llama-box.${name}`);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

export function writeSetting(name, value) {
  try {
    localStorage.setItem(`llama-box.${name}`, JSON.stringify(value));
  } catch {
    // Nothing is kept.
  }
}

export function newId() {
  return `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function open() {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(CONVERSATIONS, {keyPath: 'id'});
  return done(request);
}

class Conversations {
  constructor() {
    this.memory = new Map();
    this.database = open().catch(() => null);
  }

  async #table(mode) {
    const database = await this.database;
    return database?.transaction(CONVERSATIONS, mode).objectStore(CONVERSATIONS);
  }

  // All of them, the last used first.
  async all() {
    const table = await this.#table('readonly');
    const found = table ? await done(table.getAll()) : [...this.memory.values()];
    return found.sort((a, b) => b.updated - a.updated);
  }

  async put(conversation) {
    const copy = structuredClone(conversation);
    const table = await this.#table('readwrite');
    if (table) await done(table.put(copy));
    else this.memory.set(copy.id, copy);
  }

  async remove(id) {
    const table = await this.#table('readwrite');
    if (table) await done(table.delete(id));
    else this.memory.delete(id);
  }
}

export const conversations = new Conversations();
