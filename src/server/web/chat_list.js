// The list of kept conversations, beside the chat or over it on a narrow screen.
import {h, icon, iconButton, toast} from './dom.js';
import {conversations} from './store.js';

export class ChatList {
  // onOpen(conversation or null), null: a new one.
  constructor({onOpen}) {
    this.onOpen = onOpen;
    this.current = null;
    this.list = h('ul', {});
    this.element = h('aside', {class: 'chats', 'aria-label': 'Conversations'},
      h('button', {type: 'button', class: 'button quiet', onclick: () => this.#choose(null)}, icon('plus'), 'New chat'),
      this.list,
      h('p', {class: 'note'}, 'Kept in this browser only.'));
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.close();
    });
  }

  toggle() {
    this.element.classList.toggle('open');
    if (this.element.classList.contains('open')) this.element.querySelector('button').focus();
  }

  close() {
    this.element.classList.remove('open');
  }

  async refresh(current) {
    this.current = current;
    const all = await conversations.all();
    this.list.replaceChildren(...all.map((conversation) => this.#row(conversation)));
  }

  #choose(conversation) {
    this.close();
    this.onOpen(conversation);
  }

  #row(conversation) {
    const isOpen = conversation.id === this.current?.id;
    return h('li', {class: isOpen ? 'open' : ''},
      h('button', {type: 'button', class: 'chat', 'aria-current': isOpen ? 'true' : null,
        onclick: () => this.#choose(conversation)}, conversation.title || 'Untitled'),
      iconButton('trash', `Delete ${conversation.title || 'conversation'}`, () => this.#remove(conversation)));
  }

  async #remove(conversation) {
    await conversations.remove(conversation.id);
    if (conversation.id === this.current?.id) this.onOpen(null);
    await this.refresh(this.current);
    toast('Conversation deleted.', {name: 'Undo', run: async () => {
      await conversations.put(conversation);
      await this.refresh(this.current);
    }});
  }
}
