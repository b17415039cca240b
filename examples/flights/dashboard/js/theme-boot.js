// Runs before the first paint, so that no theme flashes up that is not meant: the one chosen here, else the
// system's. `data-theme` is what the colours follow, `data-theme-choice` what was asked for.
{
  let choice = 'auto';
  try {
    choice = localStorage.getItem('tidewire.theme') ?? 'auto';
  } catch {
    // Storage is forbidden here: the system's theme it is.
  }
  const { dataset } = document.documentElement;
  const isChosen = choice === 'light' || choice === 'dark';
  dataset.themeChoice = isChosen ? choice : 'auto';
  const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  dataset.theme = isChosen ? choice : system;
}
