// Numbers as text: short ones to read, all digits to copy.

const MINUS = "\u2212";

function short(value, digits = 3) {
  if (value == null || Number.isNaN(value)) return "\u2013";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text =
    size >= 1e6 || size < 1e-4
      ? size.toExponential(2)
      : size >= 1000
        ? Math.round(size).toLocaleString("en")
        : String(Number(size.toPrecision(digits)));
  return (value < 0 ? MINUS : "") + text;
}

// Three decimals, for columns of shares.
const fixed = (value) => (value == null ? "\u2013" : value.toFixed(3).replace("-", MINUS));

const signed = (value, digits = 3) => (value > 0 ? "+" : "") + short(value, digits);

const whole = (value) => Math.round(value).toLocaleString("en");

// The shortest decimal that reads back as the same 32 bits.
function digits(value) {
  for (let count = 6; count < 9; count++) {
    const text = String(Number(value.toPrecision(count)));
    if (Math.fround(Number(text)) === value) return text;
  }
  return String(Number(value.toPrecision(9)));
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
