// What `tidewire console` opens has a pass in its fragment, which no server and no proxy is told: it is sent as the key would be.

const shown = /^#pass=([\w.-]+)$/.exec(location.hash);
if (shown !== null) {
  history.replaceState(null, '', location.pathname);
  const form = /** @type {HTMLFormElement} */ (document.getElementById('login'));
  /** @type {HTMLInputElement} */ (document.getElementById('key')).value = shown[1];
  form.submit();
}
