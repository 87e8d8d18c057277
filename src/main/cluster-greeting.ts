/** Secret of clusters whose users have set none: who can reach the port can join. */
const TOKEN_DEFAULT = "mantaray";

/** What lets nodes and programs into a cluster. */
export function clusterToken(): string {
  return process.env["MANTARAY_CLUSTER_TOKEN"] || TOKEN_DEFAULT;
}

/** Whoever connects to a node says in its id what for; the ids of workers and drivers are plain. */
export const FOR_GCS = "gcs/";
export const FOR_NODE = "node/";
export const FOR_CONTROL = "control/";
export const FOR_DESCRIPTION = "ask/";
