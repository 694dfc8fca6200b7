import { expect, test } from "vitest";
import { findLinks } from "./links";

test("only the web's addresses become links, without what ends the sentence", () => {
  expect(findLinks("See https://track.example/1?a=b, or javascript:alert(1).")).toEqual([
    { text: "See " },
    { link: "https://track.example/1?a=b" },
    { text: ", or javascript:alert(1)." },
  ]);
});

test("joined, the pieces are the text", () => {
  for (const text of ["", "none", "http://a.example http://b.example", '<a href="https://x.example/">x</a>']) {
    const pieces = findLinks(text);
    expect(pieces.map((piece) => ("link" in piece ? piece.link : piece.text)).join("")).toBe(text);
  }
});
