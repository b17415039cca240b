/** When what a page wrote is on the screen. */

/**
 * Call back once the next frame is painted: a task that an animation frame posts runs after that frame. A page that is not in front
 * paints nothing, and is called back when it is seen again.
 *
 * @param {() => void} painted
 */
export function afterPaint(painted) {
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      painted();
    };
    port2.postMessage(null);
  });
}
