/** Why a function cannot be captured. Whoever catches it knows the path to the function and makes the user's error of it. */
export class CaptureError extends Error {}
