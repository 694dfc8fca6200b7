// What the sandbox says. In English alone: it is for the newcomer who has just read the README.

export const SWITCH_WORDS: Readonly<Record<string, string>> = {
  phone_off: "The phone is off",
  number_gone: "The number doesn't exist",
  opted_out: "The customer has said STOP",
  too_many: "The provider says: later",
  provider_down: "The provider is down",
  answer_lost: "The provider's answer gets lost",
  reports_none: "No delivery reports come",
  reports_shuffled: "Reports come out of order",
  reports_doubled: "Every report comes twice",
  reports_late: "Reports come late",
  mailbox_gone: "The mailbox doesn't exist",
  mail_later: "The mail server says: later",
  mail_answer_lost: "The mail server's answer gets lost",
};

export const PLACE_WORDS: Readonly<Record<string, string>> = {
  phone: "Phone",
  provider: "SMS and WhatsApp provider",
  reports: "Delivery reports",
  mail: "Mail",
};
