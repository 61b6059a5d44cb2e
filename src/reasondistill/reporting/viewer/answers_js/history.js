// What was asked in this session, and its form in a link: #h=<JSON in base64url>.

const MOST_KEPT = 20;

/** A link's part after `#`. */
function historyToHash(entries) {
  const bytes = new TextEncoder().encode(JSON.stringify(entries.slice(-MOST_KEPT)));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return `h=${btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

/** The entries of a link; none where it has none, or is damaged. */
function historyFromHash(hash) {
  const packed = hash.replace(/^#/, "");
  if (!packed.startsWith("h=")) return [];
  try {
    const text = atob(packed.slice(2).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    const entries = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(entries) ? entries.filter(isEntry).slice(-MOST_KEPT) : [];
  } catch {
    return [];
  }
}

function isEntry(entry) {
  const isText = (value) => typeof value === "string";
  const answer = entry?.answer;
  return (
    entry !== null && typeof entry === "object" &&
    entry.fields !== null && typeof entry.fields === "object" && Object.values(entry.fields).every(isText) &&
    answer !== null && typeof answer === "object" &&
    (answer.label === null || isText(answer.label)) && isText(answer.explanation) &&
    answer.probabilities !== null && typeof answer.probabilities === "object" &&
    Object.values(answer.probabilities).every((p) => typeof p === "number" && p >= 0 && p <= 1)
  );
}
