import type { ResourceAmounts } from "../base/mod.ts";
import type { WantRecord } from "../protocol/mod.ts";
import type { ResourceLedger } from "../scheduling/mod.ts";
import type { LeaseInstruction } from "./lease-instruction.ts";
import { sharerOf } from "./wishes.ts";
import type { Lease } from "./worker-pool.ts";

type Revocation = LeaseInstruction & { readonly type: "revoke" };

/** Asks leases back for others that wait here; taking one from an owner to give it to the same queue would change nothing. */
export function revocations(leases: Iterable<Lease>, starved: ReadonlySet<string>): Revocation[] {
  const revoked: Revocation[] = [];
  for (const lease of leases) {
    if (lease.slots === 0 || lease.isRevokeSent || (starved.size === 1 && starved.has(sharerOf(lease)))) continue;
    lease.isRevokeSent = true;
    revoked.push({ type: "revoke", leaseId: lease.leaseId, workerId: lease.workerId, onlyIdle: false });
  }
  return revoked;
}

/** Asks idle leases back for those who wait elsewhere. Busy ones stay: what they gave back, their owners would ask for again before it is known elsewhere. */
export function recalls(leases: Iterable<Lease>, wantedElsewhere: readonly WantRecord[], ledger: ResourceLedger): Revocation[] {
  const short = wantedElsewhere.filter(({ resources }) => ledger.canEverHold(resources) && !ledger.hasRoomFor(resources));
  const recalled: Revocation[] = [];
  if (short.length === 0) return recalled;
  for (const lease of leases) {
    if (lease.slots === 0 || lease.isRecalled || !short.some(({ resources, sharer }) => sharer !== sharerOf(lease) && isOfUse(lease, resources))) continue;
    lease.isRecalled = true;
    recalled.push({ type: "revoke", leaseId: lease.leaseId, workerId: lease.workerId, onlyIdle: true });
  }
  return recalled;
}

function isOfUse({ slotHolds, keeps }: Lease, wanted: ResourceAmounts): boolean {
  for (const name in wanted) if ((slotHolds[name] ?? 0) > 0 || (keeps?.[name] ?? 0) > 0) return true;
  return false;
}
