// Limits the rate of requests: many trades in a second are one reason to read the candles again.

/**
 * A function that runs `action` at once, then at most every `pauseMs`; calls in between become one run
 * at the end. After a failure the displayed data stays, and the next run tries again.
 */
export function throttle(action, pauseMs) {
  let timer = 0;
  let isWanted = false;
  const run = async () => {
    isWanted = false;
    timer = setTimeout(() => {
      timer = 0;
      if (isWanted) run();
    }, pauseMs);
    await Promise.resolve(action()).catch(() => {});
  };
  const throttled = () => {
    isWanted = true;
    if (!timer) run();
  };
  throttled.stop = () => {
    clearTimeout(timer);
    timer = -1;
  };
  return throttled;
}

/** Run tasks a few at a time, in the order of their arrival. */
export function queue(most) {
  const waiting = [];
  let running = 0;
  const next = () => {
    while (running < most && waiting.length) {
      running += 1;
      waiting
        .shift()()
        .catch(() => {})
        .finally(() => {
          running -= 1;
          next();
        });
    }
  };
  return (task) => {
    waiting.push(task);
    next();
  };
}
