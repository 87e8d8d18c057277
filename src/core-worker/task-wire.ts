/**
 * The binary layout of the hot path, little-endian. Values are FrameWriter primitives, or encoded (value-wire.ts).
 *
 *   tasks    u8 FRAME_TASKS, f64 lease (0: actor calls), u16 count, then each:
 *            u32 slot, f64 sequence, varuint callable, u8 flags,
 *            [varuint which actor of the worker], [string display name], [varuint returns], [stream state], [f64 time limit in ms], varuint argument count, arguments
 *            stream state: varuint values that may be unconsumed (0: any number), varuint values received from an earlier
 *            run, varuint values consumed, u8 whether nobody wants any more
 *   results  u8 FRAME_RESULTS, u16 count, f64 busy microseconds, then each:
 *            u32 slot, u8 status, payload by status
 *
 * An encoded value with runtime objects is followed, in results only, by a varuint: the transit that keeps them alive
 * until the receiver confirms.
 */
export const TASK_HAS_NAME = 1;
export const TASK_HAS_RETURNS = 2;
export const TASK_IS_STREAMING = 4;
export const TASK_HAS_STREAM_STATE = 8;
/** Of a call: if it throws, its owner says whether it runs again before anything takes its place. */
export const TASK_KEEPS_TURN = 16;
/** Of a call that threw and kept its turn: it runs again in it. */
export const TASK_IS_RETRY = 32;
export const TASK_HAS_ACTOR = 64;
export const TASK_HAS_TIMEOUT = 128;

export const RESULT_VALUE = 0;
export const RESULT_VALUES = 1;
export const RESULT_FAILED = 2;
/** Not run: the lease ended first. The owner sends it elsewhere. */
export const RESULT_REJECTED = 3;
/** One value of a stream; more follow. */
export const RESULT_ITEM = 4;
export const RESULT_STREAM_END = 5;
/** Of a call: its shared actor has left this worker and may start again, as if the worker were lost. */
export const RESULT_LOST = 6;
/** Not run: the bytes of an argument are lost. Its place, where they were (a string and an f64), and a string that says why. */
export const RESULT_ARGUMENT_LOST = 7;

/** Tasks in one frame. */
export const FRAME_TASKS_MAX = 512;
/** A frame is sent once it is longer. */
export const FRAME_BYTES_SOFT_MAX = 64 * 1024;

