import { tellFirstResult } from "./first-result.ts";

const double = (value: number) => 2 * value;

tellFirstResult(double(21));
