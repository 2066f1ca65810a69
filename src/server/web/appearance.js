// Light, dark, or as the system has it. theme.js does the same before the page is painted.
import {icon} from './dom.js';

const CHOICES = ['auto', 'light', 'dark'];
const ICONS = {auto: 'contrast', light: 'sun', dark: 'moon'};
const NAMES = {auto: 'as the system', light: 'light', dark: 'dark'};
const system = matchMedia('(prefers-color-scheme: dark)');
const {dataset} = document.documentElement;

function apply() {
  const dark = dataset.choice === 'dark' || (dataset.choice !== 'light' && system.matches);
  dataset.theme = dark ? 'dark' : 'light';
  dispatchEvent(new Event('themechange'));  // pictures on canvases have to be drawn anew
}

function choose(choice) {
  dataset.choice = choice;
  try {
    localStorage.setItem('llama-box.theme', choice);
  } catch {
    // It holds until the page is left.
  }
  apply();
}

export function setUpTheme(button) {
  const show = () => {
    const choice = CHOICES.includes(dataset.choice) ? dataset.choice : 'auto';
    button.replaceChildren(icon(ICONS[choice]));
    button.setAttribute('aria-label', `Theme: ${NAMES[choice]}. Change`);
    button.title = `Theme: ${NAMES[choice]}`;
  };
  button.addEventListener('click', () => {
    choose(CHOICES[(CHOICES.indexOf(dataset.choice) + 1) % CHOICES.length]);
    show();
  });
  system.addEventListener('change', apply);
  show();
}
