import { ThreadWorker } from "poolifier";

export default new ThreadWorker<number, number>((value) => 2 * value!);
