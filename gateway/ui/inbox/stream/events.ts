// What happened, in one line each, with its reason.

import type { ColleagueView, StoredEvent } from "../../generated/api";
import { fullTime } from "../../kit/format";
import { language, say } from "../strings/say";

type Data = Readonly<Record<string, unknown>>;

/** Returns what an event holds beside its type; each type has its own fields (docs/live.md). */
export function dataOf(event: StoredEvent): Data {
  return event.data as Data;
}

function text(data: Data, name: string): string {
  const value = data[name];
  return typeof value === "string" ? value : "";
}

/** Returns why something happened, as the gateway or an agent has said it; empty if nobody has. */
export function reasonOf(event: StoredEvent): string {
  const data = dataOf(event);
  const reasons = data["reasons"];
  return Array.isArray(reasons) ? reasons.join(" ") : text(data, "reason") || text(data, "error");
}

type Names = (id: string | null) => string;

export function namesOf(agents: readonly Pick<ColleagueView, "id" | "name">[]): Names {
  return (id) => agents.find((agent) => agent.id === id)?.name ?? say("stream.system");
}

/** Returns the line of an event; null for what isn't worth one. */
export function lineOf(event: StoredEvent, names: Names): string | null {
  const data = dataOf(event);
  const name = names(event.actor_id);
  switch (event.type) {
    case "conversation.started":
      return data["queue"] ? say("stream.event_routed", { queue: text(data, "queue") }) : say("stream.event_started");
    case "conversation.reopened":
      return say("stream.event_reopened");
    case "conversation.resolved":
      return say("stream.event_resolved", { name });
    case "conversation.snoozed":
      return say("stream.event_snoozed", { time: fullTime(text(data, "until"), language.value) });
    case "conversation.woken":
      return say("stream.event_woken");
    case "conversation.joined":
      return say("stream.event_joined");
    case "conversation.routed":
      return say("stream.event_routed", { queue: text(data, "queue") });
    case "conversation.assigned":
      return assignmentLine(event, names);
    case "conversation.transferred":
      return say("stream.event_transferred", { name, from: text(data, "from"), to: text(data, "to") });
    case "conversation.topic_set":
      return data["to"] ? say("stream.event_topic", { name, topic: text(data, "to") }) : say("stream.event_no_topic", { name });
    case "message.cancelled":
      return say("stream.event_cancelled");
    case "message.resent":
      return say("stream.event_resent");
    case "message.handed_over":
      return say("stream.event_handed_over");
    case "message.not_handed_over":
      return say("stream.event_not_handed_over");
    case "attachment.failed":
      return say("stream.event_file_failed");
    case "contact.merged":
      return say("stream.event_merged", { name });
    case "contact.unmerged":
      return say("stream.event_unmerged", { name });
    case "contact.address_added":
      return say("stream.event_address");
    case "contact.address_suppressed":
      return say("stream.event_suppressed");
    case "contact.number_silent":
      return say("stream.event_silent");
    case "contact.identity_conflict":
      return say("stream.event_conflict");
    default:
      return null;
  }
}

function assignmentLine(event: StoredEvent, names: Names): string {
  const to = text(dataOf(event), "to");
  if (!to) return say("stream.event_freed", { name: names(event.actor_id) });
  if (to === event.actor_id) return say("stream.event_taken", { agent: names(to) });
  return say("stream.event_assigned", { name: names(event.actor_id), agent: names(to) });
}
