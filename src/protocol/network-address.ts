/** Where a process listens on TCP. */
export interface NetworkAddress {
  readonly host: string;
  readonly port: number;
}
