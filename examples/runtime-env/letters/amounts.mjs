export function format(cents) {
  return new Intl.NumberFormat(process.env.LOCALE, { style: "currency", currency: process.env.CURRENCY }).format(cents / 100).replace("\u00a0", " ");
}
