// One answer as it comes in: a chat request's stream, taken apart.
import {eventsOf} from './api.js';

export function newAnswer() {
  return {role: 'assistant', content: '', reasoning: '', tool_calls: [], state: 'waiting'};
}

// Parts of a tool call are told by index; names and arguments grow.
function addToolCalls(answer, parts) {
  for (const part of parts) {
    const call = answer.tool_calls[part.index ?? 0] ??=
      {id: '', type: 'function', function: {name: '', arguments: ''}};
    if (part.id) call.id = part.id;
    call.function.name += part.function?.name ?? '';
    call.function.arguments += part.function?.arguments ?? '';
  }
}

function addDelta(answer, delta, now) {
  const thought = delta.reasoning_content ?? delta.reasoning ?? '';
  const arrived = thought || delta.content || delta.tool_calls;
  if (arrived && !answer.first_ms) answer.first_ms = now;
  if (thought) {
    answer.reasoning += thought;
    answer.state = 'thinking';
  }
  if (delta.content || delta.tool_calls) {
    if (answer.reasoning && !answer.thought_ms) answer.thought_ms = now - answer.first_ms;
    answer.state = 'answering';
  }
  answer.content += delta.content ?? '';
  addToolCalls(answer, delta.tool_calls ?? []);
}

function addNumbers(answer, chunk) {
  if (chunk.model) answer.model = chunk.model;
  if (chunk.usage) answer.usage = chunk.usage;
  if (chunk.timings) answer.timings = chunk.timings;
  const progress = chunk.prompt_progress;
  if (progress?.total) answer.progress = progress.processed / progress.total;
}

// Asks `api`, fills `answer` and calls `changed` after each piece. Never throws: what went wrong is in
// answer.error; an answer that was stopped keeps what it has.
export async function fetchAnswer(api, body, answer, signal, changed) {
  const start = performance.now();
  try {
    const response = await api.post('v1/chat/completions', body, signal);
    for await (const {data} of eventsOf(response)) {
      if (data === '[DONE]') break;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message ?? String(chunk.error));
      addNumbers(answer, chunk);
      for (const choice of chunk.choices ?? []) {
        addDelta(answer, choice.delta ?? {}, performance.now() - start);
        if (choice.finish_reason) answer.finish = choice.finish_reason;
      }
      changed();
    }
    answer.state = 'done';
  } catch (error) {
    answer.state = error.name === 'AbortError' ? 'stopped' : 'failed';
    if (answer.state === 'failed') {
      answer.error = error.message;
      answer.status = error.status;
    }
  }
  answer.total_ms = performance.now() - start;
  changed();
}

// How fast it was, in a few words.
export function speedOf(answer) {
  const parts = [];
  const count = answer.usage?.completion_tokens;
  const seconds = answer.timings?.predicted_ms ? answer.timings.predicted_ms / 1000
    : (answer.total_ms - (answer.first_ms ?? 0)) / 1000;
  if (answer.first_ms) parts.push({name: 'first token', text: `first token after ${time(answer.first_ms)}`});
  if (count > 1 && seconds > 0) {
    const speed = answer.timings?.predicted_per_second ?? (count - 1) / seconds;
    parts.push({name: 'speed', text: `${speed.toFixed(speed < 10 ? 1 : 0)} tok/s`});
  }
  if (count) parts.push({name: 'length', text: `${count} tokens`});
  const cached = answer.usage?.prompt_tokens_details?.cached_tokens;
  if (answer.usage?.prompt_tokens) {
    parts.push({name: 'prompt', text: `prompt of ${answer.usage.prompt_tokens}${cached ? `, ${cached} cached` : ''}`});
  }
  return parts;
}

export function time(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
  if (ms < 3600000) return `${Math.floor(ms / 60000)} min`;
  return `${Math.floor(ms / 3600000)} h`;
}
