// Before anything is painted, so that the wrong theme never flashes. What can be chosen: appearance.js.
{
  let theme = 'auto';
  try {
    theme = localStorage.getItem('llama-box.theme') ?? 'auto';
  } catch {
    // No storage: as the system has it.
  }
  const dark = theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  document.documentElement.dataset.choice = theme;
}
