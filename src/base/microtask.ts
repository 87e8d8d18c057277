const settled = Promise.resolve();

/**
 * At the end of what runs now, as `queueMicrotask` does, which makes an AsyncResource for each: that takes several times as long as
 * the rest. An error in it is the thread's, as one in the callback of a timer or a socket is: no promise is there that anybody could handle.
 */
export function afterThis(work: () => void): void {
  void settled.then(() => {
    try {
      work();
    } catch (error) {
      queueMicrotask(() => { throw error; });
    }
  });
}
