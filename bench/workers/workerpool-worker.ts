import workerpool from "workerpool";
import { samplePi } from "../peers/sample-pi.ts";

workerpool.worker({ empty: () => {}, samplePi });
