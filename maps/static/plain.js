// Text from elsewhere, without what would change how the text around it is shown or hide a part of it.

// Control characters, and signs that turn the direction of writing. A line break is a space to the page.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]/gu;
// No language needs more marks on one letter; with hundreds of them it covers the lines above and below.
const PILED = /(\p{M}{4})\p{M}+/gu;

/** The text with a visible sign in the place of each such character. */
export const plain = (text) => String(text).replace(UNSEEN, '\ufffd').replace(PILED, '$1');
