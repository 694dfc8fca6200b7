// What the contact bought, where it is, what was paid back.

import type { ContactCardView, OrderView, RefundView, ShipmentView } from "../../generated/api";
import { money } from "../../kit/format";
import { Icon } from "../../kit/icons";
import { open } from "../state/open";
import { language, say } from "../strings/say";
import { shortDate } from "./dates";
import { Part } from "./panel";
import { historyOf, orderItems, plainWords, safeLink } from "./view_model";

const AT_FIRST = 3;

export function Orders({ card }: { card: ContactCardView }) {
  const { orders } = historyOf(card, open.value?.id ?? null);
  const older = orders.slice(AT_FIRST);
  return (
    <Part title={say("panel.orders")}>
      {orders.length === 0 && <p class="second">{say("panel.no_orders")}</p>}
      {orders.slice(0, AT_FIRST).map((order, at) => (
        <Order key={order.id} order={order} isOpen={at === 0} />
      ))}
      {older.length > 0 && (
        <details>
          <summary class="second">{say("panel.more_orders", { count: older.length })}</summary>
          {older.map((order) => (
            <Order key={order.id} order={order} isOpen={false} />
          ))}
        </details>
      )}
    </Part>
  );
}

function Order({ order, isOpen }: { order: OrderView; isOpen: boolean }) {
  const items = orderItems(order);
  return (
    <details class="order" open={isOpen}>
      <summary>
        <bdi>{say("panel.order", { number: order.number })}</bdi>
        <span class="second">
          {plainWords(order.status)} · {shortDate(order.placed_at, language.value)}
        </span>
      </summary>
      {items.map((item, at) => (
        <p key={at} class="second item">
          <bdi>{item.name}</bdi> <span>× {new Intl.NumberFormat(language.value).format(item.quantity)}</span>
        </p>
      ))}
      <p class="item">{money(order.total, language.value)}</p>
      {order.shipments.map((shipment) => (
        <Shipment key={shipment.id} shipment={shipment} />
      ))}
      {order.refunds.map((refund) => (
        <Refund key={refund.id} refund={refund} />
      ))}
    </details>
  );
}

function Shipment({ shipment }: { shipment: ShipmentView }) {
  const link = safeLink(shipment.tracking_url);
  return (
    <div class="shipment">
      <p>
        <Icon name="order" /> {[shipment.carrier, plainWords(shipment.status)].filter(Boolean).join(", ")}
        {shipment.expected_on && (
          <span class="second"> · {say("panel.expected", { date: shortDate(shipment.expected_on, language.value) })}</span>
        )}
      </p>
      {shipment.tracking_number && <p class="second" dir="auto">{shipment.tracking_number}</p>}
      {link && (
        <a href={link} target="_blank" rel="noreferrer noopener">{say("panel.tracking")}</a>
      )}
    </div>
  );
}

function Refund({ refund }: { refund: RefundView }) {
  const at = refund.completed_at ?? refund.started_at;
  return (
    <p class="shipment">
      <Icon name="undo" /> {say("panel.refund", { amount: money(refund.amount, language.value) })}
      <span class="second">
        {" "}· {plainWords(refund.status)}
        {refund.method && `, ${plainWords(refund.method)}`}
        {at && `, ${shortDate(at, language.value)}`}
      </span>
    </p>
  );
}
