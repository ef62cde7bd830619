// Numbers as pacpde/plots/numbers.py writes them: errors 4.1e-07, others 0.050, 9.0, 2.6e+05.
const padded = text => text.replace(/e([+-])(\d)$/, "e$10$2");
function scientific(value) {
  return Number.isFinite(value) ? padded(value.toExponential(1)) : "failed";
}
function twoDigits(value) {
  if (!Number.isFinite(value)) return "failed";
  const rounded = Number(value.toPrecision(2)), size = Math.abs(rounded);
  if (size === 0) return "0";
  if (size < 1e-2 || size >= 1e4) return scientific(value);
  return size < 10 ? rounded.toPrecision(2) : String(rounded);
}
// A coefficient or a place on an axis: as many digits as it has, at most some.
function plain(value, digits = 3) {
  const rounded = Number(value.toPrecision(digits)), size = Math.abs(rounded);
  return size !== 0 && (size < 1e-4 || size >= 1e5) ? padded(rounded.toExponential()) : String(rounded);
}
