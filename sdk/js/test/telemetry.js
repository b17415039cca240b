/** OpenTelemetry's API as far as it is used, with spans to look at, that fails where a test says so. */

export const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
export const SPAN = '00f067aa0ba902b7';
export const TRACEPARENT = `00-${TRACE}-${SPAN}-01`;

export class FakeOpenTelemetry {
  ROOT_CONTEXT = { name: 'root' };
  /** Every span that began. */
  spans = [];
  tracers = [];
  active = null;
  #broken;

  /** @param {string[]} broken what throws */
  constructor(...broken) {
    this.#broken = broken;
  }

  trace = {
    getTracer: (...scope) => {
      this.#use('getTracer');
      this.tracers.push(scope);
      return { startSpan: (name, options, context) => this.#start(name, options, context) };
    },
    setSpanContext: (context, spanContext) => {
      this.#use('setSpanContext');
      return { from: context, parent: spanContext };
    },
    setSpan: (context, span) => {
      this.#use('setSpan');
      return { from: context, span };
    },
  };

  context = {
    with: (context, call) => {
      this.#use('with');
      this.active = context.span;
      call();
      this.active = null;
      this.#use('after with');
    },
  };

  /** How many of them have ended. */
  get ended() {
    return this.spans.filter(({ endTime }) => endTime !== null).length;
  }

  #start(name, options, context) {
    this.#use('startSpan');
    const span = { name, options, context, endTime: null, ends: 0 };
    span.end = (time) => {
      this.#use('end');
      span.endTime = time;
      span.ends += 1;
    };
    this.spans.push(span);
    return span;
  }

  #use(what) {
    if (this.#broken.includes(what)) throw new Error(`${what} is broken`);
  }
}
