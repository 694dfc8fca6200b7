import { expect, test } from "vitest";
import { fold } from "./quotes";

test("a quoted mail is folded with the line that announces it", () => {
  const text = "Thank you.\n\nOn Mon, 2 Nov 2026 at 09:00, Fern & Fog <care@fernandfog.example> wrote:\n> Hello Ana,\n> it is on its way.";
  expect(fold(text, true)).toEqual({
    words: "Thank you.",
    quoted: "On Mon, 2 Nov 2026 at 09:00, Fern & Fog <care@fernandfog.example> wrote:\n> Hello Ana,\n> it is on its way.",
  });
});

test("an announcement over two lines goes with it", () => {
  const text = "Merci !\n\nLe lun. 2 nov. 2026 à 09:00, Fern & Fog\n<care@fernandfog.example> a écrit :\n> Bonjour";
  expect(fold(text, true).words).toBe("Merci !");
});

test("answers between the lines stay with what they answer", () => {
  const text = "> Did it come?\nYes.\n> And the balm?\nNo.";
  expect(fold(text, true)).toEqual({ words: text, quoted: "" });
});

test("signatures and rulers are folded", () => {
  expect(fold("Hello\n-- \nAna Lima", true).quoted).toBe("-- \nAna Lima");
  expect(fold("Hallo\n\n----- Ursprüngliche Nachricht -----\nVon: x", true).words).toBe("Hallo");
});

test("a mail that is nothing but a quotation is shown whole", () => {
  expect(fold("> everything", true)).toEqual({ words: "> everything", quoted: "" });
});

test("other channels are never folded", () => {
  expect(fold("-- \nstays", false).words).toBe("-- \nstays");
});
