import { expect, test } from "vitest";
import { TOPICS, topicId } from "./topics";

test("every topic that is offered is a valid one", () => {
  for (const topic of TOPICS) expect(topicId(topic)).toBe(topic);
});

test("what is typed becomes an id, or nothing", () => {
  expect(topicId(" Gift Cards ")).toBe("gift_cards");
  expect(topicId("é")).toBeNull();
  expect(topicId("")).toBeNull();
  expect(topicId("x".repeat(65))).toBeNull();
});
