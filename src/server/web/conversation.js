// A conversation: what is kept of it, what the server is sent, what is exported.
import {newId} from './store.js';

const MOST_TITLE = 60;
// What one version of an answer is.
const VERSION_FIELDS = ['content', 'reasoning', 'tool_calls', 'state', 'error', 'model', 'usage', 'timings', 'finish',
  'first_ms', 'thought_ms', 'total_ms'];

export function newConversation() {
  const now = Date.now();
  return {id: newId(), title: '', created: now, updated: now, system: '', messages: []};
}

export function titleOf(text) {
  const line = text.trim().split('\n')[0];
  return line.length > MOST_TITLE ? `${line.slice(0, MOST_TITLE - 1)}…` : line;
}

function asSent(message) {
  if (message.role === 'tool') {
    return {role: 'tool', tool_call_id: message.tool_call_id, content: message.content};
  }
  if (message.role === 'user') return {role: 'user', content: message.content};
  const sent = {role: 'assistant', content: message.content};
  if (message.tool_calls.length > 0) {
    sent.tool_calls = message.tool_calls.map((call, i) => ({...call, id: call.id || `call_${i}`}));
  }
  return sent;
}

// Thoughts are not sent back, answers that failed before their first word neither.
export function requestMessages(system, messages) {
  const sent = messages.filter((m) => m.role !== 'assistant' || m.content || m.tool_calls.length > 0).map(asSent);
  return system ? [{role: 'system', content: system}, ...sent] : sent;
}

export function saveVersion(message) {
  message.versions ??= [];
  message.version ??= 0;
  message.versions[message.version] =
    structuredClone(Object.fromEntries(VERSION_FIELDS.map((field) => [field, message[field]])));
}

export function chooseVersion(message, version) {
  message.version = version;
  Object.assign(message, structuredClone(message.versions[version]));
}

export function asJson(conversation) {
  return JSON.stringify({format: 'llama-box conversation', version: 1, ...conversation}, null, 2);
}

// The text of a fence that is not in `text`.
function fence(text) {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  return '`'.repeat(longest + 1);
}

export function asMarkdown(conversation) {
  const parts = [`# ${conversation.title || 'Conversation'}`, `*${new Date(conversation.created).toISOString()}*`];
  if (conversation.system) parts.push('## System', conversation.system);
  for (const message of conversation.messages) {
    parts.push(`## ${{user: 'You', tool: 'Tool result', assistant: message.model ?? 'Assistant'}[message.role]}`);
    if (message.reasoning) parts.push(`> ${message.reasoning.trim().replaceAll('\n', '\n> ')}`);
    if (message.content) parts.push(message.content);
    for (const call of message.tool_calls ?? []) {
      const mark = fence(call.function.arguments);
      parts.push(`Calls \`${call.function.name}\`:`, `${mark}json\n${call.function.arguments}\n${mark}`);
    }
  }
  return `${parts.join('\n\n')}\n`;
}
